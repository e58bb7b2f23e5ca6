"""Blobs are named by content, whole or absent, and links are refused."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hpsearch.errors import ConflictError, NotFoundError
from hpsearch.ingest.blobs import BlobStore

if TYPE_CHECKING:
    from pathlib import Path


def put(store: BlobStore, content: bytes) -> str:
    path = store.new_temporary()
    path.write_bytes(content)
    blob = store.put_file(path)
    assert not path.exists()
    assert blob.size_bytes == len(content)
    return blob.digest


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs")


def test_the_place_is_the_digest(store: BlobStore, tmp_path: Path) -> None:
    digest = put(store, b"hello")
    assert digest == hashlib.sha256(b"hello").hexdigest()
    assert store.path(digest) == tmp_path / "blobs" / digest[:2] / digest
    assert store.path(digest).read_bytes() == b"hello"
    assert store.path(digest).stat().st_mode & 0o777 == 0o600
    assert store.verified_path(digest) == store.path(digest)


def test_the_same_content_twice_is_one_blob(store: BlobStore, tmp_path: Path) -> None:
    first, second = put(store, b"same"), put(store, b"same")
    assert first == second
    assert len([path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]) == 1


def test_an_altered_blob_is_found_and_healed_by_the_same_content(store: BlobStore) -> None:
    digest = put(store, b"content")
    store.path(digest).write_bytes(b"altered")
    with pytest.raises(ConflictError, match="was altered on disk") as refused:
        store.verified_path(digest)
    assert refused.value.code == "blob.digest_mismatch"
    put(store, b"content")
    assert store.verified_path(digest).read_bytes() == b"content"


def test_missing_and_deleted_blobs(store: BlobStore) -> None:
    digest = put(store, b"gone soon")
    store.delete(digest)
    store.delete(digest)
    for look in (store.path, store.verified_path):
        with pytest.raises(NotFoundError, match="is missing") as refused:
            look(digest)
        assert refused.value.code == "blob.missing"


@pytest.mark.parametrize(
    "digest", ["", "..", "../../etc/passwd", "/etc/passwd", "A" * 64, "0" * 63, "0" * 65, "0" * 63 + "\n", "é" * 64]
)
def test_what_is_no_digest_never_becomes_a_path(store: BlobStore, digest: str) -> None:
    for look in (store.path, store.verified_path, store.delete):
        with pytest.raises(NotFoundError):
            look(digest)


def test_links_are_refused(store: BlobStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    home = tmp_path / "blobs" / digest[:2] / digest
    home.parent.mkdir()
    home.symlink_to(secret)
    for look in (store.path, store.verified_path):
        with pytest.raises(NotFoundError):
            look(digest)
    upload = store.new_temporary()
    upload.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links") as refused:
        store.put_file(upload)
    assert refused.value.errno == errno.ELOOP
    home.unlink()
    home.parent.rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / digest).write_bytes(b"secret")
    home.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFoundError):
        store.path(digest)


def test_a_link_in_the_place_of_a_blob_is_replaced_not_followed(store: BlobStore, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    digest = hashlib.sha256(b"new").hexdigest()
    home = tmp_path / "blobs" / digest[:2] / digest
    home.parent.mkdir()
    home.symlink_to(victim)
    assert put(store, b"new") == digest
    assert victim.read_bytes() == b"victim"
    assert store.path(digest).read_bytes() == b"new"


def test_nothing_is_kept_of_a_file_that_can_not_be_read(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file(store.new_temporary())
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_stale_temporary_files_are_swept_and_no_others(store: BlobStore) -> None:
    old, new = store.new_temporary(), store.new_temporary()
    assert old != new
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    link = store.new_temporary()
    link.symlink_to(new)
    past = time.time() - 3_600
    os.utime(old, (past, past))
    digest = put(store, b"blob")
    os.utime(store.path(digest), (past, past))
    assert store.sweep_temporary(600) == 1
    assert (old.exists(), new.exists(), link.is_symlink()) == (False, True, True)
    assert store.path(digest).exists()
    assert store.sweep_temporary(-1) == 2


def test_many_threads_put_the_same_content(store: BlobStore) -> None:
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(put(store, b"x" * 100_000))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert store.verified_path(seen[0]).stat().st_size == 100_000


def test_the_folder_is_for_this_user_only(store: BlobStore, tmp_path: Path) -> None:
    assert (tmp_path / "blobs" / "tmp").stat().st_mode & 0o777 == 0o700
