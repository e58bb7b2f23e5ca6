"""Connections to a database, and how its failures read to a caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from hpsearch.errors import InvalidInputError, UnavailableError
from hpsearch.storage.dialects import DIALECTS, dialect_of


def parse_url(database_url: str) -> URL:
    """Return the parsed URL.

    Raises:
        InvalidInputError: It is malformed or names no database that studies can be stored in.
    """
    expected = " or ".join(dialect.example for dialect in DIALECTS.values())
    try:
        url = make_url(database_url)
    except ArgumentError:
        msg = f"HPSEARCH_DATABASE_URL is not a database URL; expected {expected}"
        raise InvalidInputError(msg, code="settings.invalid") from None
    if url.get_backend_name() not in DIALECTS:
        msg = f"HPSEARCH_DATABASE_URL names {url.get_backend_name()!r}; expected {expected}"
        raise InvalidInputError(msg, code="settings.invalid")
    dialect_of(url).check(url)
    return url


def open_engines(url: URL, *, pool_size: int = 12) -> tuple[Engine, Engine]:
    """Return the engines for reading and for writing; they may be one."""
    return dialect_of(url).open_engines(url, pool_size=pool_size)


def claim(database_url: str) -> IO[str] | None:
    """Keep other servers off a database of one server, for as long as the returned file is open; None for a shared one.

    Raises:
        ConflictError: Another process has it.
        InvalidInputError: The URL is malformed, or a file lies where no claim holds.
    """
    url = parse_url(database_url)
    return dialect_of(url).claim(url)


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether a failure, or what it came from, is that the disk of the database takes no more data."""
    while error is not None:
        original = getattr(error, "orig", None)
        if any(dialect.is_disk_full(original) for dialect in DIALECTS.values()):
            return True
        error = error.__cause__
    return False


@contextmanager
def as_unavailable() -> Iterator[None]:
    """Turn a failure of the database, not of the request, into UnavailableError.

    The outcome of a commit may then be unknown: the caller repeats the identical request, which is idempotent.

    Raises:
        UnavailableError: The database does not answer.
        InvalidInputError: The SQLite file is something else.
    """
    try:
        yield
    except IntegrityError:
        raise
    except PoolTimeoutError as error:
        msg = "the database answers too slowly: all connections are in use; repeat the request in a moment"
        raise UnavailableError(msg, code="database.unavailable") from error
    except DBAPIError as error:
        if isinstance(error, OperationalError) or error.connection_invalidated:
            reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "connection lost"
            msg = f"the database does not answer ({reason}); repeat the request in a moment"
            raise UnavailableError(msg, code="database.unavailable") from error
        for dialect in DIALECTS.values():
            if dialect.is_foreign_file(error.orig):
                msg = (
                    "the file named by HPSEARCH_DATABASE_URL or the data directory is not a "
                    f"{dialect.product} database; choose another"
                )
                raise InvalidInputError(msg, code="settings.invalid") from error
        raise
