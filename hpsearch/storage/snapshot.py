"""Whole copies of the database, taken while servers go on writing, and put back in one step."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, select, text, union

from hpsearch.clock import SystemClock
from hpsearch.errors import ConflictError, UnavailableError
from hpsearch.storage import pg_tools
from hpsearch.storage.contents import ContentRepository
from hpsearch.storage.engine import as_unavailable, open_engines, parse_url
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.replicas import ReplicaRepository
from hpsearch.storage.tables import content, dataset, metadata, model

_VERSION_TABLE: Final = "alembic_version"
_REVISION: Final = text(f"SELECT version_num FROM {_VERSION_TABLE}")  # noqa: S608 - no input
_DIGESTS: Final = union(select(dataset.c.digest), select(model.c.digest))
# A server beats every two seconds at least.
_SILENT_S: Final = 10.0


@dataclass(frozen=True)
class Moment:
    """The database as it is at one moment, held while others go on writing.

    Attributes:
        dialect: `sqlite` or `postgresql`.
        revision: Of its schema.
        digests: Of all contents its rows refer to.
        copies: Which copy of a content is in the store, by digest.
        store: Id and location of the content store; None in a database of a version before there was one.
        copy_to: Writes this state into a file that is not there yet: a SQLite database, or SQL for psql. It raises
            HpsearchError when pg_dump is not installed, UnavailableError when the copy fails.
    """

    dialect: str
    revision: str
    digests: frozenset[str]
    copies: Mapping[str, str]
    store: tuple[str, str | None] | None
    copy_to: Callable[[Path], None]


@contextlib.contextmanager
def moment(database_url: str) -> Iterator[Moment]:
    """Hold the present state of a database until the body ends.

    Args:
        database_url: `sqlite:///…` or `postgresql://…`.

    Raises:
        ConflictError: The database has no tables of hpsearch.
        UnavailableError: The database does not answer.
    """
    url = parse_url(database_url)
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite and not Path(str(url.database)).exists():
        raise _nothing_there()
    reader, writer = open_engines(url, pool_size=1)
    # On SQLite every reading transaction is of one moment, on PostgreSQL it must be asked for.
    engine = reader if is_sqlite else writer.execution_options(isolation_level="REPEATABLE READ")
    try:
        with as_unavailable(), engine.connect() as connection:
            tables = inspect(connection)
            if not tables.has_table(_VERSION_TABLE):
                raise _nothing_there()
            store, copies = None, {}
            if tables.has_table(content.name):
                repository = ContentRepository(connection, lease_now=LeaseClock(None).now)
                store, copies = repository.store(), repository.copies()
            revision = connection.execute(_REVISION).scalar_one()
            digests = frozenset(connection.execute(_DIGESTS).scalars())
            copy_to = partial(_copy_sqlite if is_sqlite else _copy_postgresql, connection)
            yield Moment(url.get_backend_name(), str(revision), digests, copies, store, copy_to)
    finally:
        reader.dispose()
        writer.dispose()


def _copy_sqlite(connection: Connection, target: Path) -> None:
    with _sqlite(target) as there:
        connection.connection.driver_connection.backup(there)  # type: ignore[union-attr]


def _copy_postgresql(connection: Connection, target: Path) -> None:
    # This transaction lies idle while pg_dump, in one of its own, sees what it sees.
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    name = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
    pg_tools.run(
        "pg_dump",
        connection.engine.url,
        "--no-owner",
        "--no-privileges",
        f"--snapshot={name}",
        f"--file={target}",
    )


def is_empty(database_url: str) -> bool:
    """Return whether the database holds nothing of hpsearch; a SQLite file that is not there is empty.

    Raises:
        UnavailableError: The database does not answer.
    """
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database))
        return not file.exists() or file.stat().st_size == 0
    _, engine = open_engines(url, pool_size=1)
    try:
        with as_unavailable(), engine.connect() as connection:
            return not inspect(connection).has_table(_VERSION_TABLE)
    finally:
        engine.dispose()


def is_served(database_url: str) -> bool:
    """Return whether a server has given a sign of life on this PostgreSQL database in the last seconds."""
    _, engine = open_engines(parse_url(database_url), pool_size=1)
    try:
        with as_unavailable(), engine.connect() as connection:
            if not inspect(connection).has_table("replica"):
                return False
            replicas = ReplicaRepository(connection, at=SystemClock().now(), lease_now=LeaseClock(None).now)
            silence_s = replicas.silence_s()
            return silence_s is not None and silence_s < _SILENT_S
    finally:
        engine.dispose()


def put(database_url: str, source: Path) -> None:
    """Make a copy the database, in one step: afterwards the database is the old one or the new one, never a mixture.

    What was there is replaced. No server may run on it.

    Args:
        database_url: Of the kind the copy was taken from.
        source: As written by `Moment.copy_to`; on SQLite it is moved, and must lie on the same file system.

    Raises:
        UnavailableError: The database refused it and is as it was.
    """
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite":
        _replace_file(source, Path(str(url.database)))
        return
    ours = ", ".join(f'"{name}"' for name in sorted({_VERSION_TABLE, *metadata.tables}))
    pg_tools.run(
        "psql",
        url,
        "--no-psqlrc",
        "--quiet",
        "--single-transaction",
        "--set=ON_ERROR_STOP=1",
        f"--command=DROP TABLE IF EXISTS {ours} CASCADE",
        f"--file={source}",
    )


def _replace_file(source: Path, target: Path) -> None:
    if target.exists() and target.stat().st_size:
        # Folds the write-ahead log in: of another file it must not be applied to this one. A file too damaged for that
        # is about to go anyway.
        with contextlib.suppress(UnavailableError), _sqlite(target) as old:
            old.execute("PRAGMA journal_mode=DELETE").close()
    for companion in ("-wal", "-shm"):
        target.with_name(target.name + companion).unlink(missing_ok=True)
    descriptor = os.open(source, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    source.replace(target)


def _nothing_there() -> ConflictError:
    msg = "the database has no tables of hpsearch yet: there is nothing to back up"
    return ConflictError(msg, code="database.missing")


@contextlib.contextmanager
def _sqlite(file: Path) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection:
            yield connection
    except sqlite3.Error as error:
        msg = f"the SQLite file {file.name} can not be copied ({error})"
        raise UnavailableError(msg, code="database.copy_failed") from error
