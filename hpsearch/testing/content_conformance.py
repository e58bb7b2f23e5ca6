"""What every content store promises, as a test class: derive from it, say how to open one, and run it with pytest."""

# ruff: noqa: D102, S101 - these are tests: their names say what they check, and they assert

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from hpsearch.content.store import PIECE_BYTES, ContentStore, name_of
from hpsearch.errors import NotFoundError

# None, one and several pieces, with and without a rest.
SIZES: Final = (0, 1, 50_000, PIECE_BYTES, 2 * PIECE_BYTES + 1, 11 * PIECE_BYTES)
NO_NAMES: Final = (
    "",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "0" * 63,
    "A" * 64,
    "0" * 64 + ".",
    "0" * 64 + ".x/../y",
)


def name(content: bytes, copy: str = "") -> str:
    """Return the name of a copy of a content."""
    return name_of(hashlib.sha256(content).hexdigest(), copy)


def put(store: ContentStore, folder: Path, content: bytes, copy: str = "") -> str:
    """Store a content, from a file of the folder or where the store wants it, and return its name."""
    path = (store.incoming or folder) / os.urandom(8).hex()
    path.write_bytes(content)
    store.put(name(content, copy), path)
    path.unlink(missing_ok=True)
    return name(content, copy)


class ContentConformance:
    """The suite; the derived class says how to open a store that is empty and belongs to nobody.

    Attributes:
        has_owner: Whether the store keeps the owner it is given; one that lies in the database of its owner need not.
    """

    has_owner = True

    def open(self) -> ContentStore:
        """Return the store of this test, opened once more: all that are opened in one test are the same place."""
        raise NotImplementedError

    def test_contents_come_back_whole_from_every_opened_store(self, tmp_path: Path) -> None:
        one, other = self.open(), self.open()
        contents = [os.urandom(size) for size in SIZES]
        names = [put(one, tmp_path, content, "0123abcd") for content in contents]
        for stored, content in zip(names, contents, strict=True):
            assert other.holds(stored)
            assert b"".join(other.read(stored)) == content
            path = other.path_of(stored)
            assert path is None or path.read_bytes() == content
        assert sorted(one.names()) == sorted(other.names()) == sorted(names)

    def test_pieces_are_small(self, tmp_path: Path) -> None:
        store = self.open()
        stored = put(store, tmp_path, bytes(12 * PIECE_BYTES))
        assert max(map(len, store.read(stored))) <= 8 * PIECE_BYTES

    def test_copies_of_one_content_are_apart(self, tmp_path: Path) -> None:
        store = self.open()
        first, second = (put(store, tmp_path, b"content", copy) for copy in ("0123abcd", "89abcdef"))
        store.delete(first)
        assert not store.holds(first)
        assert b"".join(store.read(second)) == b"content"
        assert list(store.names()) == [second]

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        store = self.open()
        stored = put(store, tmp_path, b"gone soon")
        for _ in range(2):
            store.delete(stored)
        assert not store.holds(stored)
        assert list(store.names()) == []
        assert _refused(lambda: list(store.read(stored))).code == "blob.missing"

    def test_what_is_no_name_reaches_nothing(self, tmp_path: Path) -> None:
        store = self.open()
        stored = put(store, tmp_path, b"content")
        for wrong in NO_NAMES:
            calls: tuple[Callable[[str], Any], ...] = (store.holds, store.delete, store.path_of, _reader(store))
            for call in calls:
                assert _refused(partial(call, wrong)).code == "blob.missing"
        assert list(store.names()) == [stored]

    def test_a_content_put_again_is_whole_all_the_time(self, tmp_path: Path) -> None:
        content = os.urandom(3 * PIECE_BYTES)
        put(self.open(), tmp_path, content)
        faults: list[BaseException] = []

        def again() -> None:
            try:
                store = self.open()
                for _ in range(4):
                    assert b"".join(store.read(put(store, tmp_path, content))) == content
            except BaseException as error:  # noqa: BLE001 - told by the test below
                faults.append(error)

        threads = [threading.Thread(target=again) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not faults, faults

    def test_a_damaged_content_is_healed_by_putting_it_again(self, tmp_path: Path) -> None:
        store = self.open()
        stored = name(b"content")
        path = (store.incoming or tmp_path) / "damaged"
        path.write_bytes(b"altered, and longer")
        store.put(stored, path)
        put(store, tmp_path, b"content")
        assert b"".join(store.read(stored)) == b"content"

    def test_nothing_is_kept_of_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        store = self.open()
        try:
            store.put(name(b"content"), (store.incoming or tmp_path) / "nothing")
        except FileNotFoundError:
            assert list(store.names()) == []
        else:
            raise AssertionError

    def test_the_owner_is_known_to_every_opened_store(self) -> None:
        if not self.has_owner:
            return
        one, other = self.open(), self.open()
        assert one.owner() is None
        for uid in ("00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"):
            one.set_owner(uid)
            assert one.owner() == other.owner() == uid
        assert list(one.names()) == []


def _reader(store: ContentStore) -> Callable[[str], bytes]:
    return lambda name: b"".join(store.read(name))


def _refused(call: Callable[[], Any]) -> NotFoundError:
    try:
        call()
    except NotFoundError as error:
        return error
    msg = "expected a NotFoundError"
    raise AssertionError(msg)
