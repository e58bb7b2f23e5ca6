"""Pipelining on PostgreSQL: statements whose results nobody reads share one round trip with the commit.

Each statement that is waited for costs a round trip to the server, and most are made while the study's row is
held, which all of its other reports wait for. A statement marked with `unread` is sent without waiting (libpq's
pipeline mode); the next one that is read, or the commit, waits for all before it, and fails if one of them failed.
SQLite has no round trips, and there the mark changes nothing.
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
    with engine.connect() as connection, connection.begin():
        yield connection
        # Sent after the others it is one round trip with them. SQLAlchemy's own commit then finds nothing to do.
        _leave(connection, last="COMMIT")


def _steer(connection: Connection, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:  # noqa: FBT001
    """Enter pipeline mode before a statement nobody reads, and leave it before one that is read."""
    if not context.execution_options.get(_MARK, False):
        _leave(connection)
    elif not _is_open(connection):
        pipeline = _driver(connection).pipeline()
        try:
            pipeline.__enter__()
        except psycopg.Error as error:
            raise _told(connection, error) from error
        connection.info[_OPEN] = pipeline


def _is_open(connection: Connection) -> bool:
    return not connection.closed and not connection.invalidated and _OPEN in connection.info


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


def _leave(connection: Connection, *, last: str | None = None) -> None:
    """Wait for what was sent in pipeline mode, if in it, and return to the ordinary mode.

    Args:
        connection: Between two statements.
        last: One more statement to send before.

    Raises:
        DBAPIError: One of the statements failed: the first of them.
    """
    if not _is_open(connection):
        return
    driver, pipeline = _driver(connection), connection.info.pop(_OPEN)
    errors: list[psycopg.Error] = []
    try:
        if last is not None:
            driver.execute(last, prepare=False)
    except psycopg.Error as error:
        errors.append(error)
    try:
        pipeline.__exit__(None, None, None)
    except psycopg.Error as error:
        errors.append(error)
    if errors:
        raise _told(connection, errors[0]) from errors[0]


def _told(connection: Connection, error: psycopg.Error) -> DBAPIError:
    """Return what SQLAlchemy would make of an error of one of its own calls; a lost connection is let go."""
    lost, dialect = _driver(connection).closed, connection.dialect
    if lost:
        connection.invalidate(error)
    told = DBAPIError.instance(
        "statements sent together", None, error, psycopg.Error, connection_invalidated=lost, dialect=dialect
    )
    assert isinstance(told, DBAPIError)  # noqa: S101 - errors of a driver come out as such
    return told


def _driver(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)
