"""File upload and download: streamed, written whole or not at all, checked by their SHA-256."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final

import httpx2

from hpsearch.client.connection import Connection
from hpsearch.errors import ConflictError, HpsearchError, InvalidInputError

_CHUNK_BYTES: Final = 1 << 20
_SHA256: Final = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/]{43}=):")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def content_digest(sha256: bytes) -> str:
    """Return the value of a `Content-Digest` header (RFC 9530) for a SHA-256 of 32 bytes."""
    return f"sha-256=:{base64.b64encode(sha256).decode('ascii')}:"


def announced_sha256(headers: httpx2.Headers) -> str | None:
    """Return the SHA-256 in hex that a `Content-Digest` header announces, or None."""
    found = _SHA256.search(headers.get("content-digest", ""))
    return base64.b64decode(found[1]).hex() if found else None


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex.

    Raises:
        InvalidInputError: The file can not be read.
    """
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(path: Path | str) -> Iterator[BufferedReader]:
    """Yield the file opened for reading.

    Raises:
        InvalidInputError: The file can not be opened; the message says why.
    """
    path = Path(path).expanduser()
    try:
        file = path.open("rb")
    except OSError as error:
        msg = f"{path} can not be read: {(error.strerror or str(error)).lower()}"
        raise InvalidInputError(msg, code="file.unreadable") from None
    with file:
        yield file


def download(
    connection: Connection,
    path: str,
    target: Path | str,
    *,
    sha256: str | None = None,
    params: Mapping[str, object] | None = None,
) -> str:
    """Return the SHA-256 in hex of what was downloaded to `target`; on any error the target is as it was before.

    Args:
        connection: To the server.
        path: Below the base address.
        target: File to write; its folder must exist.
        sha256: In hex, what the content must have, besides what the server announces.
        params: Query.

    Raises:
        ConflictError: With code `digest_mismatch`: the content is not what was announced or wanted.
        HpsearchError: With code `disk.full` or `file.unwritable`: it can not be written here.
    """
    target = Path(target).expanduser()
    try:
        with _beside(target) as (temporary, file):
            # Compressed transfer would hide the bytes that the digest is of.
            headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
            with connection.stream(path, headers=headers, params=params) as response:
                found = _receive(response, file)
                announced = announced_sha256(response.headers)
            for wanted in (announced, sha256):
                if wanted is not None and wanted != found:
                    msg = f"{path} has SHA-256 {found}, but {wanted} was expected: the content was altered or cut short"
                    raise ConflictError(msg, code="digest_mismatch")
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(target)
    except OSError as error:
        code = "disk.full" if error.errno in _FULL else "file.unwritable"
        msg = f"{target} can not be written: {(error.strerror or str(error)).lower()}"
        raise HpsearchError(msg, code=code) from None
    return found


def _receive(response: httpx2.Response, file: BinaryIO) -> str:
    digest = hashlib.sha256()
    for chunk in response.iter_bytes(_CHUNK_BYTES):
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()


@contextmanager
def _beside(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a fresh file in the target's folder; it is gone afterwards unless it was moved."""
    number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:80]}.", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            yield temporary, file
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
