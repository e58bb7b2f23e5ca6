"""Statements whose answers nobody reads: on PostgreSQL they travel together, and with the commit.

Each statement that is waited for costs a journey to the server and back, and most are made while the study's row is
held, which all of its other reports wait for. A statement marked with `unread` is sent without waiting (libpq's
pipeline mode); the next one that is read, or the commit, waits for all before it, and fails if one of them failed.
SQLite has no journeys, and there the mark changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar, cast

import psycopg
from sqlalchemy import Connection, Engine, Executable, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

_MARK: Final = "hpsearch_unread"
_OPEN: Final = "hpsearch_pipeline"

Statement = TypeVar("Statement", bound=Executable)


def unread(statement: Statement) -> Statement:
    """Return the statement, marked: it returns no rows, and nobody asks how many it changed."""
    return statement.execution_options(**{_MARK: True})


def pipelined(engine: Engine) -> Engine:
    """Make a PostgreSQL engine heed the mark, in transactions opened with `begin`, and return it."""
    event.listen(engine, "before_cursor_execute", _steer)
    event.listen(engine, "rollback", _give_up)
    event.listen(engine, "invalidate", _forget)
    return engine


@contextmanager
def begin(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that is committed when the body ends and undone when it raises."""
    with engine.connect() as connection:
        try:
            with connection.begin():
                yield connection
        except BaseException:
            _give_up(connection)  # a commit that failed is not rolled back by SQLAlchemy, but by the pool
            raise
        _leave(connection)


def _steer(connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:  # noqa: FBT001
    """Enter pipeline mode before a statement nobody reads, and leave it before one that is read."""
    if not context.execution_options.get(_MARK, False):
        _leave(connection)
    elif _OPEN not in connection.info:
        pipeline = _driver(connection).pipeline()
        pipeline.__enter__()
        connection.info[_OPEN] = pipeline


def _give_up(connection: Connection) -> None:
    """Leave pipeline mode after a failure: what failed has been told, and all that came after it fails with it."""
    with suppress(DBAPIError):
        _leave(connection)


def _forget(_connection: Any, record: ConnectionPoolEntry, _error: BaseException | None) -> None:
    """End the pipeline of a connection that was lost; left to the garbage collector, it would complain in the log."""
    pipeline = record.info.pop(_OPEN, None)
    if pipeline is not None:
        with suppress(psycopg.Error):
            pipeline.__exit__(None, None, None)


def _leave(connection: Connection) -> None:
    """Wait for what was sent, and return to the ordinary mode.

    Raises:
        DBAPIError: One of the statements sent failed.
    """
    pipeline = None if connection.closed or connection.invalidated else connection.info.pop(_OPEN, None)
    if pipeline is None:
        return
    driver = _driver(connection)
    try:
        pipeline.__exit__(None, None, None)
    except psycopg.Error as error:
        # SQLAlchemy turns only the errors of its own calls into its own.
        of = "statements sent together"
        lost, dialect = driver.closed, connection.dialect
        raise DBAPIError.instance(
            of, None, error, psycopg.Error, connection_invalidated=lost, dialect=dialect
        ) from error


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
