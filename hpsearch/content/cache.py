"""LRU disk cache of a remote content store, each file verified by its SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from hpsearch.content.incoming import Incoming, hashed
from hpsearch.content.store import digest_of, is_name
from hpsearch.errors import ConflictError

# A file that was returned a moment ago is about to be opened.
_IN_USE_S: Final = 60.0


class Cache:
    """Contents by name below one folder, which several servers of this machine may share.

    Args:
        folder: Made, for this user only, when missing.
        max_bytes: Above it files are deleted, those used in the last minute excepted.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._incoming = Incoming(folder / "tmp")
        self._guard = threading.Lock()
        self._fetching: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()

    def path_of(self, name: str, content: Iterable[bytes]) -> Path:
        """Return a file with a content, from the cache or else read from the store; it stays for at least a minute.

        Args:
            name: Of the content.
            content: Its pieces; not read when the content is cached already.

        Raises:
            ConflictError: The pieces are not the content of that name; code `blob.digest_mismatch`.
            OSError: It can not be written.
        """
        with self._guard:
            lock = self._fetching.setdefault(name, threading.Lock())
        with lock:  # those that come meanwhile for the same content wait, instead of reading it once more
            return self._kept(name) or self._fetched(name, content)

    def take(self, name: str, path: Path) -> None:
        """Keep a file that is known to have the content; it is moved if it lies on the same file system.

        Raises:
            OSError: It can not be moved.
        """
        path.replace(self._folder / name)
        self._evict()

    def forget(self, name: str) -> None:
        """Delete a content, if it is kept."""
        (self._folder / name).unlink(missing_ok=True)

    def _kept(self, name: str) -> Path | None:
        path = self._folder / name
        with contextlib.suppress(OSError):
            os.utime(path, follow_symlinks=False)
            if hashed(path)[0] == digest_of(name):
                return path
        return None

    def _fetched(self, name: str, content: Iterable[bytes]) -> Path:
        temporary = self._incoming.new_path()
        digest = hashlib.sha256()
        try:
            with temporary.open("xb") as file:
                for piece in content:
                    digest.update(piece)
                    file.write(piece)
            if digest.hexdigest() != digest_of(name):
                raise altered(name)
            self.take(name, temporary)
        finally:
            temporary.unlink(missing_ok=True)
        return self._folder / name

    def _evict(self) -> None:
        kept = sorted(self._files(), key=lambda file: file[1].st_mtime)
        excess = sum(found.st_size for _, found in kept) - self._max_bytes
        recent = time.time() - _IN_USE_S
        for path, found in kept:
            if excess <= 0 or found.st_mtime > recent:
                return
            path.unlink(missing_ok=True)
            excess -= found.st_size

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for entry in list(os.scandir(self._folder)):
            with contextlib.suppress(FileNotFoundError):
                if is_name(entry.name):
                    yield Path(entry.path), entry.stat(follow_symlinks=False)


def altered(name: str) -> ConflictError:
    """Return the error for a content that is not that of its digest."""
    msg = f"the stored file {name[:12]} was altered in the content store; restore it from a backup"
    return ConflictError(msg, code="blob.digest_mismatch")
