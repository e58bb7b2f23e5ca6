"""Group commit for SQLite: the writers of one connection take turns in order of arrival and share commits.

A durable commit waits for the disk, milliseconds each, and SQLite has one writer. So a writer that finds others waiting
hands them its open transaction instead of committing; the last of the group commits for all, and only then does any of
them go on. Each works inside a savepoint of its own: one that fails undoes itself alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Engine

from hpsearch.errors import UnavailableError

_MAX_GROUP: Final = 32


@dataclass
class _Group:
    """An open transaction and how it ended for everybody in it."""

    connection: Connection
    n_writers: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


class GroupWriter:
    """Serves writers strictly in order of arrival; not reentrant.

    The standard library's lock makes no promise of order, and separate SQLite connections starve each other: with
    several busy writers one of them can wait for seconds while the others take turns.

    Args:
        engine: Opens the one connection; begins with BEGIN IMMEDIATE.
        max_group: Writers that share one commit at most; 1 commits for each alone.
    """

    def __init__(self, engine: Engine, *, max_group: int = _MAX_GROUP) -> None:
        self._engine = engine
        self._max_group = max_group
        self._guard = threading.Lock()
        self._busy = False
        self._waiters: deque[threading.Event] = deque()
        self._group: _Group | None = None
        self.n_commits = 0

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run the body as one writer; when it is left without an error, what it wrote is committed.

        Raises:
            UnavailableError: The group's commit failed; nothing of the body was kept.
        """
        self._wait_for_turn()
        try:
            group = self._group or self._begin()
        except BaseException:
            self._next_turn()
            raise
        group.n_writers += 1
        failure = None
        try:
            group.connection.exec_driver_sql("SAVEPOINT writer")
            yield group.connection
            group.connection.exec_driver_sql("RELEASE writer")
        except BaseException as error:  # noqa: BLE001 - raised again below, after the group's commit
            failure = error
            self._undo(group)
        self._leave(group)
        if group.error is not None and failure is None:
            msg = f"the database did not take the commit ({group.error}); repeat the request in a moment"
            raise UnavailableError(msg, code="database.unavailable") from group.error
        if failure is not None:
            raise failure

    def _wait_for_turn(self) -> None:
        turn = None
        with self._guard:
            if self._busy:
                turn = threading.Event()
                self._waiters.append(turn)
            else:
                self._busy = True
        if turn is not None:
            turn.wait()

    def _next_turn(self) -> None:
        with self._guard:
            if self._waiters:
                self._waiters.popleft().set()
            else:
                self._busy = False

    def _begin(self) -> _Group:
        connection = self._engine.connect()
        try:
            connection.begin()
        except BaseException:
            connection.close()
            raise
        self._group = _Group(connection)
        return self._group

    def _undo(self, group: _Group) -> None:
        """Undo one writer's part; if SQLite has already undone everything (disk full), the whole group is lost."""
        try:
            group.connection.exec_driver_sql("ROLLBACK TO writer")
            group.connection.exec_driver_sql("RELEASE writer")
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing of the group can be committed
            group.error = error

    def _leave(self, group: _Group) -> None:
        """Pass the open transaction on, or end it; return when it has ended either way."""
        with self._guard:
            passes_on = bool(self._waiters) and group.n_writers < self._max_group and group.error is None
        if passes_on:
            self._next_turn()
            group.ended.wait()
            return
        self._group = None
        try:
            if group.error is None:
                group.connection.commit()
                self.n_commits += 1
        except BaseException as error:  # noqa: BLE001 - told to every writer of the group
            group.error = error
        finally:
            try:
                if group.error is not None:
                    # A commit that failed may leave its transaction open: the next group must not inherit it.
                    group.connection.invalidate()
                group.connection.close()
            finally:
                group.ended.set()
                self._next_turn()
