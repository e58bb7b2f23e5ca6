"""SQLite: one file, one process, one writing connection whose transactions share commits."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, ClassVar, Final

from sqlalchemy import (
    JSON,
    URL,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    Table,
    create_engine,
    event,
    exists,
    func,
    literal_column,
    select,
)
from sqlalchemy import Dialect as Driver
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeEngine

from hpsearch.errors import InvalidInputError, UnavailableError
from hpsearch.storage.dialects.base import Dialect
from hpsearch.storage.dialects.sqlite_file import claim_file
from hpsearch.storage.group_writer import GroupWriter

_BUSY_MS: Final = 10_000


class Sqlite(Dialect):
    """SQLite, in its write-ahead log mode."""

    name: ClassVar[str] = "sqlite"
    product: ClassVar[str] = "SQLite"
    example: ClassVar[str] = "sqlite:///file"
    has_one_writer: ClassVar[bool] = True
    # Those that are inside at once share a commit; measured with eight clients, see docs/benchmarks.md.
    n_places: ClassVar[int] = 8
    copy_name: ClassVar[str] = "database.sqlite3"
    # Stored as text: keys keep their order.
    json_type: ClassVar[TypeEngine[Any]] = JSON(none_as_null=True)
    ordered_json_type: ClassVar[TypeEngine[Any]] = json_type
    # SQLite numbers rows itself only for INTEGER PRIMARY KEY.
    id_type: ClassVar[TypeEngine[int]] = Integer()
    transaction_number: ClassVar[ColumnElement[int]] = literal_column("0", Integer)

    def check(self, url: URL) -> None:
        """Return when the address names a file."""
        if not url.database:
            msg = "HPSEARCH_DATABASE_URL names no SQLite file; expected sqlite:///path/to/file"
            raise InvalidInputError(msg, code="settings.invalid")

    def open_engines(self, url: URL, *, pool_size: int) -> tuple[Engine, Engine]:
        """Return an engine for reading and one for writing, which has exactly one connection.

        Each writing transaction is IMMEDIATE: one that reads first and writes later fails at once when another wrote in
        between, whatever the timeout.
        """
        file = self.file_of(url)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Whatever folder it lies in, a new file is for its owner alone; those SQLite puts beside it are as it is.
        file.touch(mode=0o600)
        return _engine(url, size=pool_size, begin="BEGIN DEFERRED"), _engine(url, size=1, begin="BEGIN IMMEDIATE")

    def writer(self, engine: Engine) -> Callable[[], AbstractContextManager[Connection]]:
        """Return what opens a writing transaction."""
        return GroupWriter(engine).transaction

    def version(self, driver: Driver) -> str:  # noqa: ARG002
        """Return the version of the library."""
        return sqlite3.sqlite_version

    def file_of(self, url: URL) -> Path:
        """Return the database's file."""
        return Path(str(url.database))

    def claim(self, url: URL) -> IO[str]:
        """Keep other servers off the file."""
        # Links are followed: the same file under another name is the same file, on the same file system.
        return claim_file(self.file_of(url).resolve())

    def insert(self, table: Table) -> sqlite.Insert:
        """Return an INSERT."""
        return sqlite.insert(table)

    def has_entry(self, column: Column[Any], key: str, value: str | None) -> ColumnElement[bool]:
        """Return the condition that a JSON object has a text under a key."""
        # SQLite's paths into JSON neither find keys that were written with escapes nor take every key.
        pairs = func.json_each(column).table_valued("key", "value")
        wanted = pairs.c.key == key if value is None else (pairs.c.key == key) & (pairs.c.value == value)
        return exists(select(pairs.c.key).where(wanted))

    def oldest_open_transaction(self, connection: Connection) -> None:
        """Return None: transactions follow one another, and ids rise with them."""

    def advisory_lock(self, connection: Connection, number: int) -> None:
        """Do nothing: no other transaction can write before this one ends."""

    def is_disk_full(self, error: BaseException | None) -> bool:
        """Return whether the disk takes no more data."""
        return "disk is full" in str(error)

    def is_foreign_file(self, error: BaseException | None) -> bool:
        """Return whether the file is no SQLite database."""
        return isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error)

    def snapshot_engine(self, reader: Engine, writer: Engine) -> Engine:  # noqa: ARG002
        """Return the reading engine: each of its transactions is of one moment."""
        return reader

    def copy(self, connection: Connection, target: Path) -> None:
        """Write a database file."""
        with _file(target) as there:
            connection.connection.driver_connection.backup(there)  # type: ignore[union-attr]

    def url_of_copy(self, copy: Path) -> str:
        """Return the address of the copy."""
        return f"sqlite:///{copy}"

    def replace(self, url: URL, source: Path, tables: Sequence[str]) -> None:  # noqa: ARG002
        """Move the copy, which must be on the same file system, to where the database is."""
        target = self.file_of(url)
        if target.exists() and target.stat().st_size:
            # Folds the write-ahead log in: of another file it must not be applied to this one. A file too damaged for
            # that is about to go anyway.
            with contextlib.suppress(UnavailableError), _file(target) as old:
                old.execute("PRAGMA journal_mode=DELETE").close()
        for companion in ("-wal", "-shm"):
            target.with_name(target.name + companion).unlink(missing_ok=True)
        descriptor = os.open(source, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        source.replace(target)


def _engine(url: URL, *, size: int, begin: str) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # Python's own transaction control would begin DEFERRED; the "begin" listeners above decide instead.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_MS}",
        "cache_size=-32768",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


@contextlib.contextmanager
def _file(file: Path) -> Iterator[sqlite3.Connection]:
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=30)) as connection:
            yield connection
    except sqlite3.Error as error:
        msg = f"the SQLite file {file.name} can not be copied ({error})"
        raise UnavailableError(msg, code="database.copy_failed") from error
