"""Online backup of the database, of one snapshot while servers go on writing, and restoring in one step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import inspect, select, text, union

from hpsearch.clock import SystemClock
from hpsearch.errors import ConflictError
from hpsearch.storage import migrate
from hpsearch.storage.contents import ContentRepository
from hpsearch.storage.dialects import dialect_of
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
        dialect: Name of the kind of database.
        revision: Of its schema.
        digests: Of all contents its rows refer to.
        copies: Which copy of a content is in the store, by digest.
        store: Id and location of the content store; None in a database of a version before there was one.
        copy_to: Writes this state into a file that is not there yet. It raises HpsearchError when a program it needs is
            not installed, UnavailableError when the copy fails.
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
    dialect = dialect_of(url)
    file = dialect.file_of(url)
    if file is not None and not file.exists():
        raise _nothing_there()
    reader, writer = open_engines(url, pool_size=1)
    try:
        with as_unavailable(), dialect.snapshot_engine(reader, writer).connect() as connection:
            tables = inspect(connection)
            if not tables.has_table(_VERSION_TABLE):
                raise _nothing_there()
            store, copies = None, {}
            if tables.has_table(content.name):
                repository = ContentRepository(connection, lease_now=LeaseClock(None).now)
                store, copies = repository.store(), repository.copies()
            revision = connection.execute(_REVISION).scalar_one()
            digests = frozenset(connection.execute(_DIGESTS).scalars())
            yield Moment(dialect.name, str(revision), digests, copies, store, partial(dialect.copy, connection))
    finally:
        reader.dispose()
        writer.dispose()


def is_empty(database_url: str) -> bool:
    """Return whether the database holds nothing of hpsearch; a file that is not there is empty.

    Raises:
        UnavailableError: The database does not answer.
    """
    url = parse_url(database_url)
    file = dialect_of(url).file_of(url)
    if file is not None:
        return not file.exists() or file.stat().st_size == 0
    _, engine = open_engines(url, pool_size=1)
    try:
        with as_unavailable(), engine.connect() as connection:
            return not inspect(connection).has_table(_VERSION_TABLE)
    finally:
        engine.dispose()


def is_served(database_url: str) -> bool:
    """Return whether a server has given a heartbeat on this shared database in the last seconds."""
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
    """Make a copy the database, with the newest schema, in one step: it is the old one or the new one, never a mixture.

    What was there is replaced. No server may run on it.

    Args:
        database_url: Of the kind the copy was taken from.
        source: As written by `Moment.copy_to`; a file of a database is moved, and must lie on the same file system.

    Raises:
        UnavailableError: The database refused it and is as it was.
    """
    url = parse_url(database_url)
    dialect = dialect_of(url)
    url_of_copy = dialect.url_of_copy(source)
    if url_of_copy is not None:
        migrate.upgrade(url_of_copy)
    dialect.replace(url, source, sorted({_VERSION_TABLE, *metadata.tables}))
    if url_of_copy is None:
        migrate.upgrade(database_url)


def _nothing_there() -> ConflictError:
    msg = "the database has no tables of hpsearch yet: there is nothing to back up"
    return ConflictError(msg, code="database.missing")
