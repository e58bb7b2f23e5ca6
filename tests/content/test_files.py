"""Contents in a folder: named by their digest, whole or absent, and links are refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hpsearch.content.files import FileContent
from hpsearch.content.incoming import Incoming
from hpsearch.errors import NotFoundError
from hpsearch.testing.content_conformance import ContentConformance, name, put


class TestFiles(ContentConformance):
    """`FileContent`."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "blobs"

    def open(self) -> FileContent:
        return FileContent(self.folder)


@pytest.fixture
def store(tmp_path: Path) -> FileContent:
    return FileContent(tmp_path / "blobs")


def test_a_file_lies_where_its_name_says_for_this_user_only(store: FileContent, tmp_path: Path) -> None:
    stored = put(store, tmp_path, b"hello", "0123abcd")
    assert store.path_of(stored) == tmp_path / "blobs" / stored[:2] / stored
    assert store.path_of(stored).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "blobs" / "tmp").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "blobs" / "tmp").iterdir()) == [], "it was moved, not copied"


def test_links_are_refused(store: FileContent, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    stored = name(b"secret")
    home = tmp_path / "blobs" / stored[:2] / stored
    home.parent.mkdir()
    home.symlink_to(secret)
    for look in (store.path_of, lambda text: list(store.read(text))):
        with pytest.raises(NotFoundError):
            look(stored)
    upload = Incoming(tmp_path / "blobs" / "tmp").new_path()
    upload.symlink_to(secret)
    with pytest.raises(OSError, match=os.strerror(40)):
        store.put(name(b"other"), upload)
    home.unlink()
    home.parent.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / stored).write_bytes(b"secret")
    home.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFoundError):
        store.path_of(stored)
    assert list(store.names()) == []


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(store: FileContent, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    home = tmp_path / "blobs" / name(b"new")[:2] / name(b"new")
    home.parent.mkdir()
    home.symlink_to(victim)
    stored = put(store, tmp_path, b"new")
    assert victim.read_bytes() == b"victim"
    assert store.path_of(stored).read_bytes() == b"new"


def test_forgotten_uploads_are_swept_and_no_others(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / "tmp")
    old, new, link = incoming.new_path(), incoming.new_path(), incoming.new_path()
    assert old != new
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    link.symlink_to(new)
    past = time.time() - 3_600
    os.utime(old, (past, past))
    assert incoming.sweep(600) == 1
    assert (old.exists(), new.exists(), link.is_symlink()) == (False, True, True)
    assert incoming.sweep(-1) == 2
