"""The interface of content stores (put, read, delete by content address), and the names of contents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from hpsearch.errors import NotFoundError

# Pieces in which contents travel: small enough for memory, large enough that each round trip is worth it.
PIECE_BYTES: Final = 2**20
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{8})?")
_WIDTH: Final = 64


class ContentStore(Protocol):
    """A place for contents, each under a name of `name_of`.

    A name stands for one content for ever: it is written whole or not at all, perhaps several times by several servers
    with the same bytes, and once deleted it is never used again. So nothing here needs a lock.

    Attributes:
        location: As `HPSEARCH_CONTENT` names it; holds no secret.
        max_bytes: Largest content it takes; None for any.
        incoming: Folder on the file system of the store, where files to be put are best written; None if it does not
            matter.
    """

    location: str
    max_bytes: int | None
    incoming: Path | None

    def put(self, name: str, path: Path) -> None:
        """Store the bytes of a file, durably; a content of that name is replaced.

        Args:
            name: Of `name_of`.
            path: A plain file; gone afterwards if it could be moved in.

        Raises:
            OSError: The file can not be read, or there is no room.
            UnavailableError: The store does not answer; nothing is kept under the name.
        """

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content in pieces of at most some mebibytes.

        Raises:
            NotFoundError: There is none of that name; code `blob.missing`.
            UnavailableError: The store does not answer.
        """

    def path_of(self, name: str) -> Path | None:
        """Return where the content lies as a plain file of this machine; None if it must be read from the store.

        Raises:
            NotFoundError: There is none of that name, or a link stands in its place; code `blob.missing`.
        """

    def holds(self, name: str) -> bool:
        """Return whether there is a content of that name.

        Raises:
            UnavailableError: The store does not answer.
        """

    def delete(self, name: str) -> None:
        """Remove a content; nothing happens when there is none.

        Raises:
            UnavailableError: The store does not answer.
        """

    def names(self) -> Iterator[str]:
        """Yield the names of all contents; what else lies there is passed over.

        Raises:
            UnavailableError: The store does not answer.
        """

    def owner(self) -> str | None:
        """Return the id of whom the store belongs to; None before there was one, or where that can not be in doubt.

        Raises:
            UnavailableError: The store does not answer.
        """

    def set_owner(self, uid: str) -> None:
        """Note the id of whom the store belongs to.

        Raises:
            OSError: It can not be written.
            UnavailableError: The store does not answer.
        """


def name_of(digest: str, copy: str) -> str:
    """Return the name of a copy of a content.

    Args:
        digest: SHA-256 of the content, 64 hexadecimal digits.
        copy: 8 hexadecimal digits that differ between a content put again and the one deleted before; empty for those
            stored by versions without them.

    Raises:
        NotFoundError: The digest is none; code `blob.missing`.
    """
    if not _DIGEST.fullmatch(digest):
        raise _malformed(digest)
    return f"{digest}.{copy}" if copy else digest


def digest_of(name: str) -> str:
    """Return the SHA-256 a content of this name must have, 64 hexadecimal digits."""
    return name[:_WIDTH]


def is_name(text: str) -> bool:
    """Return whether a text could be a name of `name_of`."""
    return _NAME.fullmatch(text) is not None


def checked(text: str) -> str:
    """Return a text that is a name of `name_of`.

    Raises:
        NotFoundError: It is none; code `blob.missing`.
    """
    if not is_name(text):
        raise _malformed(text)
    return text


def _malformed(text: str) -> NotFoundError:
    msg = f"{text[:80]!r} is no digest of a stored file; expected 64 hexadecimal digits"
    return NotFoundError(msg, code="blob.missing")


def missing(name: str) -> NotFoundError:
    """Return the error for a content that is not there."""
    msg = f"the stored file {name[:12]} is missing; restore it from a backup or upload it again"
    return NotFoundError(msg, code="blob.missing")
