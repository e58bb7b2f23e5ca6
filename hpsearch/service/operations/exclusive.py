"""Exclusive lock of a database against running servers, for backup, restore and moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hpsearch.errors import ConflictError
from hpsearch.storage import snapshot
from hpsearch.storage.engine import claim


@contextmanager
def nobody_else(url: str) -> Iterator[None]:
    """Keep servers off the database, or find out that there is one.

    Raises:
        ConflictError: A server runs on it.
    """
    lock = claim(url)
    if lock is None and snapshot.is_served(url):
        msg = "a server runs on this database: stop all its servers and try again in a quarter of a minute"
        raise ConflictError(msg, code="database.in_use")
    try:
        yield
    finally:
        if lock is not None:
            lock.close()
