"""Connections: what differs between SQLite and PostgreSQL, and how a failure of either reads to a caller."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from hpsearch.errors import InvalidInputError, UnavailableError
from hpsearch.storage.pg_pipeline import pipelined

_SQLITE_BUSY_MS: Final = 10_000
# A connection used so lately is taken to stand still.
_TRUSTED_S: Final = 1.0
_PG_DISK_FULL: Final = "53100"
_PG_OPTIONS: Final = (
    "-c timezone=UTC -c statement_timeout=15s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
)


def parse_url(database_url: str) -> URL:
    """Return the parsed URL.

    Raises:
        InvalidInputError: It is malformed or names neither SQLite nor PostgreSQL.
    """
    try:
        url = make_url(database_url)
    except ArgumentError:
        msg = "HPSEARCH_DATABASE_URL is not a database URL; expected sqlite:///file or postgresql://user@host/name"
        raise InvalidInputError(msg, code="settings.invalid") from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        msg = f"HPSEARCH_DATABASE_URL names {url.get_backend_name()!r}; expected sqlite:///file or postgresql://user@host/name"
        raise InvalidInputError(msg, code="settings.invalid")
    if url.get_backend_name() == "sqlite" and not url.database:
        msg = "HPSEARCH_DATABASE_URL names no SQLite file; expected sqlite:///path/to/file"
        raise InvalidInputError(msg, code="settings.invalid")
    return url


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's own transaction control would begin DEFERRED; the "begin" listeners below decide instead.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={_SQLITE_BUSY_MS}",
        "cache_size=-32768",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite(url: URL, *, size: int, begin: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def open_engines(url: URL, *, pool_size: int = 12) -> tuple[Engine, Engine]:
    """Return the engines for reading and for writing; one and the same on PostgreSQL.

    On SQLite exactly one connection ever writes, each of its transactions IMMEDIATE: a transaction that reads first
    and writes later fails at once when another wrote in between, whatever the timeout.
    """
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        # Whatever folder it lies in, a new file is for its owner alone; those SQLite puts beside it are as it is.
        Path(str(url.database)).touch(mode=0o600)
        return _sqlite(url, size=pool_size, begin="BEGIN DEFERRED"), _sqlite(url, size=1, begin="BEGIN IMMEDIATE")
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"options": _PG_OPTIONS, "connect_timeout": 5},
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", _check_if_idle)
    return pipelined(engine), engine


def _note_use(_connection: Any, record: ConnectionPoolEntry) -> None:
    record.info["used_s"] = time.monotonic()


def _check_if_idle(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Ask a connection that lay idle whether it still stands; asking each time would cost a busy server a tenth.

    Raises:
        DisconnectionError: It does not; the pool opens another.
    """
    if time.monotonic() - record.info.get("used_s", math.inf) < _TRUSTED_S:
        return
    try:
        connection.execute("SELECT 1")
        connection.commit()  # not a rollback, see `Store.read`
    except psycopg.Error as error:
        raise DisconnectionError from error


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether a failure, or what it came from, is that the disk of the database takes no more data."""
    while error is not None:
        original = getattr(error, "orig", None)
        if getattr(original, "sqlstate", None) == _PG_DISK_FULL or "disk is full" in str(original):
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
        if isinstance(error.orig, sqlite3.DatabaseError) and "not a database" in str(error.orig):
            msg = (
                "the file named by HPSEARCH_DATABASE_URL or the data directory is not a SQLite database; choose another"
            )
            raise InvalidInputError(msg, code="settings.invalid") from error
        raise
