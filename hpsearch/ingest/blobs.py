"""Files named by the hash of their content: written whole or not at all, never through a link."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hpsearch.errors import ConflictError, NotFoundError

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_TEMPORARY: Final = "tmp"


@dataclass(frozen=True)
class Blob:
    """A stored file.

    Attributes:
        digest: SHA-256 of its content, in hex.
        size_bytes: Of its content.
    """

    digest: str
    size_bytes: int


class BlobStore:
    """Blobs below one folder, each at `<first two of the digest>/<digest>`.

    A path is made from a digest alone; nothing a client sends ever becomes part of one. Several processes may use one
    folder at a time.

    Args:
        root: The folder; made, for this user only, when missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / _TEMPORARY
        self._temporary.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put_file(self, path: Path) -> Blob:
        """Return the blob with the content of a file, which is moved in; the same content twice is one blob.

        Args:
            path: A plain file on the same file system, such as one of `new_temporary`; gone afterwards.

        Raises:
            OSError: It can not be read or moved, or is a link; the file is left where it was.
        """
        digest, size = _hashed(path, sync=True)
        home = self._place(digest)
        if self._holds(home, digest):
            path.unlink()
            return Blob(digest, size)
        home.parent.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o600)
        path.replace(home)
        _sync_folder(home.parent)
        _sync_folder(self._root)
        return Blob(digest, size)

    def path(self, digest: str) -> Path:
        """Return where the content of a digest lies.

        Raises:
            NotFoundError: There is no such blob, or a link stands in its place; code `blob.missing`.
        """
        home = self._place(digest)
        try:
            plain = stat.S_ISREG(home.lstat().st_mode) and not home.parent.is_symlink()
        except OSError:
            plain = False
        if not plain:
            msg = f"the stored file {digest[:12]} is missing; restore it from a backup or upload it again"
            raise NotFoundError(msg, code="blob.missing")
        return home

    def verified_path(self, digest: str) -> Path:
        """Return where the content of a digest lies, after reading it all and comparing.

        Raises:
            NotFoundError: There is no such blob.
            ConflictError: The content on disk is no longer that of its digest; code `blob.digest_mismatch`.
        """
        home = self.path(digest)
        if _hashed(home, sync=False)[0] != digest:
            msg = f"the stored file {digest[:12]} was altered on disk; restore it from a backup"
            raise ConflictError(msg, code="blob.digest_mismatch")
        return home

    def delete(self, digest: str) -> None:
        """Remove the content of a digest; nothing happens when there is none."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._place(digest).unlink()

    def new_temporary(self) -> Path:
        """Return a path of its own on the same file system; no file is made."""
        return self._temporary / uuid.uuid4().hex

    def sweep_temporary(self, older_than_s: float) -> int:
        """Return how many temporary files, last written longer ago than this, were removed.

        Args:
            older_than_s: Seconds.
        """
        oldest = time.time() - older_than_s
        swept = 0
        for entry in list(os.scandir(self._temporary)):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()
                    swept += 1
        return swept

    def _holds(self, home: Path, digest: str) -> bool:
        try:
            return _hashed(home, sync=False)[0] == digest
        except OSError:
            return False

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            msg = f"{digest[:80]!r} is no digest of a stored file; expected 64 hexadecimal digits"
            raise NotFoundError(msg, code="blob.missing")
        return self._root / digest[:2] / digest


def _hashed(path: Path, *, sync: bool) -> tuple[str, int]:
    """Return digest and size; a link in the place of the file is refused by the system (ELOOP)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if sync:
            os.fsync(file.fileno())
        return digest, os.fstat(file.fileno()).st_size


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
