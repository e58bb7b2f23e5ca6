"""PostgreSQL: a server that several servers of hpsearch share; rows are locked, statements are pipelined."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg
from sqlalchemy import (
    JSON,
    URL,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Float,
    Table,
    Text,
    cast,
    create_engine,
    event,
    extract,
    func,
    text,
)
from sqlalchemy import Dialect as Driver
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from hpsearch.storage import pg_pipeline, pg_tools
from hpsearch.storage.dialects.base import DatabaseNow, Dialect

# A connection used so lately is taken to stand still.
_TRUSTED_S: Final = 1.0
_DISK_FULL: Final = "53100"
_OPTIONS: Final = (
    "-c timezone=UTC -c statement_timeout=15s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
)
# The oldest transaction that is still open in this database, or the next one if there is none. The snapshot's own xmin
# would do too, but counts the transactions of all databases of the server: a long one elsewhere would hold all events
# back. `backend_xid` has 32 bits and is lifted to 64 by its distance to the next transaction.
_HORIZON: Final = text("""
    SELECT coalesce(min(ceiling - ((ceiling - backend_xid::text::bigint) & 4294967295)), min(ceiling))
    FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS ceiling) AS top
    LEFT JOIN pg_stat_activity ON datname = current_database() AND backend_xid IS NOT NULL
""")
_ADVISORY_LOCK: Final = text("SELECT pg_advisory_xact_lock(:number)")


@compiles(DatabaseNow, "postgresql")
def _now(_element: DatabaseNow, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(cast(extract("epoch", func.clock_timestamp()), Float(53)), **how)


class Postgresql(Dialect):
    """PostgreSQL 14 or newer, by psycopg."""

    name: ClassVar[str] = "postgresql"
    product: ClassVar[str] = "PostgreSQL"
    example: ClassVar[str] = "postgresql://user@host/name"
    has_one_writer: ClassVar[bool] = False
    # More threads only hand Python's lock to each other; measured with eight clients, see docs/benchmarks.md.
    n_places: ClassVar[int] = 4
    copy_name: ClassVar[str] = "database.sql"
    json_type: ClassVar[TypeEngine[Any]] = postgresql.JSONB(none_as_null=True)
    ordered_json_type: ClassVar[TypeEngine[Any]] = JSON(none_as_null=True)
    id_type: ClassVar[TypeEngine[int]] = BigInteger()
    transaction_number: ClassVar[ColumnElement[int]] = cast(cast(func.pg_current_xact_id(), Text), BigInteger)

    def open_engines(self, url: URL, *, pool_size: int) -> tuple[Engine, Engine]:
        """Return one engine for both, whose statements that nobody reads are pipelined."""
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            connect_args={"options": _OPTIONS, "connect_timeout": 5},
        )
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", _check_if_idle)
        return pg_pipeline.pipelined(engine), engine

    def writer(self, engine: Engine) -> Callable[[], AbstractContextManager[Connection]]:
        """Return what opens a writing transaction."""
        return partial(pg_pipeline.begin, engine)

    def version(self, driver: Driver) -> str:
        """Return the server's version."""
        return ".".join(map(str, getattr(driver, "server_version_info", None) or ()))

    def file_of(self, url: URL) -> None:
        """Return None."""

    def claim(self, url: URL) -> None:
        """Return None: servers share the database."""

    def insert(self, table: Table) -> postgresql.Insert:
        """Return an INSERT."""
        return postgresql.insert(table)

    def has_entry(self, column: Column[Any], key: str, value: str | None) -> ColumnElement[bool]:
        """Return the condition that a JSON object has a text under a key."""
        found = column[key].as_string()
        has: ColumnElement[bool] = found.is_not(None) if value is None else found == value
        return has

    def oldest_open_transaction(self, connection: Connection) -> int:
        """Return the number of the oldest transaction that may still commit."""
        # A statement of its own: what ended before it is visible to the next one, what was open bounds it from above.
        return int(connection.execute(_HORIZON).scalar_one())

    def advisory_lock(self, connection: Connection, number: int) -> None:
        """Wait for the other transactions that asked for this number."""
        connection.execute(_ADVISORY_LOCK, {"number": number})

    def is_disk_full(self, error: BaseException | None) -> bool:
        """Return whether the disk takes no more data."""
        return getattr(error, "sqlstate", None) == _DISK_FULL

    def snapshot_engine(self, reader: Engine, writer: Engine) -> Engine:  # noqa: ARG002
        """Return the engine with the isolation level of an MVCC snapshot."""
        return writer.execution_options(isolation_level="REPEATABLE READ")

    def copy(self, connection: Connection, target: Path) -> None:
        """Write SQL for psql, by pg_dump."""
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

    def url_of_copy(self, copy: Path) -> None:
        """Return None: the copy is SQL."""

    def replace(self, url: URL, source: Path, tables: Sequence[str]) -> None:
        """Drop the tables and run the SQL, in one transaction."""
        names = ", ".join(f'"{name}"' for name in tables)
        pg_tools.run(
            "psql",
            url,
            "--no-psqlrc",
            "--quiet",
            "--single-transaction",
            "--set=ON_ERROR_STOP=1",
            f"--command=DROP TABLE IF EXISTS {names} CASCADE",
            f"--file={source}",
        )


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
