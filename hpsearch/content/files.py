"""A content store of plain files below one folder: writes are atomic and durable (fsync), links are not followed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hpsearch.content.store import PIECE_BYTES, checked, is_name, missing

_TEMPORARY: Final = "tmp"
_OWNER: Final = "store-id"


class FileContent:
    """Contents below one folder, each at `<first two of the name>/<name>`.

    A path is made from a name alone; nothing a client sends ever becomes part of one. Several servers may share the
    folder.

    Args:
        root: The folder; made, for this user only, when missing.
        location: As `HPSEARCH_CONTENT` names it.

    Raises:
        OSError: The folder can not be made.
    """

    max_bytes: int | None = None

    def __init__(self, root: Path, *, location: str = "files:") -> None:
        self.location = location
        self._root = root
        self.incoming: Path | None = root / _TEMPORARY
        self.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, name: str, path: Path) -> None:
        """Move a file in; it must lie on the same file system, such as in `incoming`."""
        home = self._place(name)
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        home.parent.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o600)
        path.replace(home)
        _sync_folder(home.parent)
        _sync_folder(self._root)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content in pieces."""
        with self.path_of(name).open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                yield piece

    def path_of(self, name: str) -> Path:
        """Return where the content lies."""
        home = self._place(name)
        if not _is_plain(home):
            raise missing(name)
        return home

    def holds(self, name: str) -> bool:
        """Return whether there is a content of that name."""
        return _is_plain(self._place(name))

    def delete(self, name: str) -> None:
        """Remove a content; nothing happens when there is none."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._place(name).unlink()

    def names(self) -> Iterator[str]:
        """Yield the names of all contents."""
        for folder in list(os.scandir(self._root)):
            if folder.is_dir(follow_symlinks=False) and folder.name != _TEMPORARY:
                with contextlib.suppress(FileNotFoundError):
                    yield from (entry.name for entry in os.scandir(folder.path) if is_name(entry.name))

    def owner(self) -> str | None:
        """Return the id of whom the folder belongs to; None before there was one."""
        try:
            return (self._root / _OWNER).read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def set_owner(self, uid: str) -> None:
        """Note the id of whom the folder belongs to."""
        temporary = self._root / _TEMPORARY / uid
        temporary.write_text(uid + "\n", encoding="utf-8")
        temporary.replace(self._root / _OWNER)
        _sync_folder(self._root)

    def _place(self, name: str) -> Path:
        return self._root / checked(name)[:2] / name


def _is_plain(home: Path) -> bool:
    """Return whether a plain file lies there, and is not reached through a link."""
    try:
        return stat.S_ISREG(home.lstat().st_mode) and not home.parent.is_symlink()
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
