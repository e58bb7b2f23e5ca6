"""Keeping servers off a database for as long as something is done to all of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hpsearch.errors import ConflictError
from hpsearch.service.context import claim_file
from hpsearch.storage import snapshot
from hpsearch.storage.engine import parse_url


@contextmanager
def nobody_else(url: str) -> Iterator[None]:
    """Keep servers off the database, or find out that there is one.

    Raises:
        ConflictError: A server runs on it.
    """
    parsed = parse_url(url)
    lock: IO[str] | None = None
    if parsed.get_backend_name() == "sqlite":
        lock = claim_file(Path(str(parsed.database)).resolve())
    elif snapshot.is_served(url):
        msg = "a server runs on this database: stop all its servers and try again in a quarter of a minute"
        raise ConflictError(msg, code="database.in_use")
    try:
        yield
    finally:
        if lock is not None:
            lock.close()
