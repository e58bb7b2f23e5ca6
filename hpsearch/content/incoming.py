"""Temporary files on their way into a content store: unique paths, and a sweep of abandoned files."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from pathlib import Path


class Incoming:
    """A folder of temporary files.

    Args:
        folder: Made, for this user only, when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def new_path(self) -> Path:
        """Return a unique path; no file is made."""
        return self._folder / uuid.uuid4().hex

    def sweep(self, older_than_s: float) -> int:
        """Return how many files, last written longer ago than this, were removed.

        Args:
            older_than_s: Seconds.
        """
        oldest = time.time() - older_than_s
        swept = 0
        for entry in list(os.scandir(self._folder)):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()
                    swept += 1
        return swept


def hashed(path: Path) -> tuple[str, int]:
    """Return SHA-256 (in hex) and size (in bytes) of a file.

    Raises:
        OSError: It can not be read; a link in its place is refused by the system (ELOOP).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size
