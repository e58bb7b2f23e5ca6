"""A content store in the database itself: each content as rows of a mebibyte."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, delete, select

from hpsearch.content.store import PIECE_BYTES, checked, missing
from hpsearch.errors import UnavailableError
from hpsearch.storage.dialects.base import Insert
from hpsearch.storage.engine import is_disk_full
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.store import Store
from hpsearch.storage.tables import content_piece

# Written in one transaction within seconds, and dumped, vacuumed and replicated with all the rest. Data sets, which
# are compressed, and models are far smaller as a rule; what is not belongs into a shared folder or an object store.
MAX_BYTES: Final = 256 * 2**20


class DatabaseContent:
    """Contents in a database that servers share; beside one that belongs to one server, files serve better.

    Args:
        database: Of the service.
    """

    location = "database:"
    max_bytes: int | None = MAX_BYTES
    incoming: Path | None = None

    def __init__(self, database: Store) -> None:
        self._database = database

    def put(self, name: str, path: Path) -> None:
        """Store the bytes of a file, in one transaction."""
        try:
            with path.open("rb") as file, self._database.write() as tx:
                tx.connection.execute(unread(delete(content_piece).where(_is(name))))
                number, piece = 0, file.read(PIECE_BYTES)
                while piece or number == 0:
                    following = file.read(PIECE_BYTES)
                    insert = self._insert(name, number, piece)
                    # The last one travels with the commit. The others are waited for: they must not pile up here.
                    tx.connection.execute(insert if following else unread(insert))
                    number, piece = number + 1, following
        except UnavailableError as error:
            if is_disk_full(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content in pieces."""
        with self._database.read() as tx:
            number = 0
            pieces = select(content_piece.c.data).where(_is(name))
            while piece := tx.connection.execute(pieces.where(content_piece.c.number == number)).first():
                yield piece.data
                number += 1
                if len(piece.data) < PIECE_BYTES:  # the last one: nobody needs to ask for another
                    break
        if number == 0:
            raise missing(name)

    def path_of(self, name: str) -> None:
        """Return None: there is no file."""
        checked(name)

    def holds(self, name: str) -> bool:
        """Return whether there is a content of that name."""
        first = select(content_piece.c.number).where(_is(name), content_piece.c.number == 0)
        with self._database.read() as tx:
            return tx.connection.execute(first).first() is not None

    def delete(self, name: str) -> None:
        """Remove a content; nothing happens when there is none."""
        with self._database.write() as tx:
            tx.connection.execute(delete(content_piece).where(_is(name)))

    def names(self) -> Iterator[str]:
        """Yield the names of all contents."""
        firsts = select(content_piece.c.name).where(content_piece.c.number == 0)
        with self._database.read() as tx:
            names = list(tx.connection.execute(firsts).scalars())
        yield from names

    def owner(self) -> None:
        """Return None: where the store lies, there is its owner."""

    def set_owner(self, uid: str) -> None:
        """Do nothing."""

    def _insert(self, name: str, number: int, piece: bytes) -> Insert:
        insert = self._database.dialect.insert(content_piece).values(name=name, number=number, data=piece)
        # Another server may be putting the same content at the same time.
        return insert.on_conflict_do_update(
            index_elements=[content_piece.c.name, content_piece.c.number], set_={"data": insert.excluded.data}
        )


def _is(name: str) -> ColumnElement[bool]:
    return content_piece.c.name == checked(name)
