"""SQLite's shared commits: strictly in turn, each undone alone, all told only when it is on disk."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from hpsearch.errors import UnavailableError
from hpsearch.storage.engine import as_unavailable, open_engines, parse_url
from hpsearch.storage.group_writer import GroupWriter

_TIMEOUT_S = 10.0
Body = Callable[[Connection], Any]


def put(name: str) -> Body:
    return lambda connection: connection.exec_driver_sql("INSERT INTO word VALUES (?)", (name,))


@dataclass
class Crew:
    """Writers in threads of their own, queued in the order in which they are sent."""

    engine: Engine
    path: Path
    writer: GroupWriter
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(40))

    def write(self, body: Body) -> None:
        with as_unavailable(), self.writer.transaction() as connection:
            body(connection)

    def send(self, body: Body) -> Future[None]:
        """Start a writer and return once it stands in the queue, or works if nobody else does."""
        before, busy = len(self.writer._waiters), self.writer._busy
        sent = self.pool.submit(self.write, body)
        self.until(lambda: len(self.writer._waiters) > before or (not busy and self.writer._busy) or sent.done())
        return sent

    @contextmanager
    def hold(self) -> Iterator[Future[None]]:
        """Keep a writer at work while others queue behind it."""
        begun, go = threading.Event(), threading.Event()

        def body(connection: Connection) -> None:
            put("held")(connection)
            begun.set()
            assert go.wait(_TIMEOUT_S)

        sent = self.pool.submit(self.write, body)
        assert begun.wait(_TIMEOUT_S)
        try:
            yield sent
        finally:
            go.set()

    @staticmethod
    def until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.001)

    @property
    def words(self) -> list[str]:
        """What another process would find in the file."""
        connection = sqlite3.connect(self.path)
        try:
            return [row[0] for row in connection.execute("SELECT name FROM word ORDER BY rowid")]
        finally:
            connection.close()


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    path = tmp_path / "words.sqlite3"
    reader, engine = open_engines(parse_url(f"sqlite:///{path}"))
    opened = Crew(engine, path, GroupWriter(engine))
    opened.write(lambda connection: connection.exec_driver_sql("CREATE TABLE word (name TEXT PRIMARY KEY)"))
    opened.writer.n_commits = 0
    yield opened
    opened.pool.shutdown()
    reader.dispose()
    engine.dispose()


def fail(name: str) -> Body:
    def body(connection: Connection) -> None:
        put(name)(connection)
        raise ValueError(name)

    return body


def test_writers_take_turns_in_order_of_arrival_and_share_a_commit(crew: Crew) -> None:
    with crew.hold():
        sent = [crew.send(put(f"{n:02}")) for n in range(20)]
    for one in sent:
        one.result(_TIMEOUT_S)
    assert crew.words == ["held", *(f"{n:02}" for n in range(20))]
    assert crew.writer.n_commits == 1


def test_a_group_has_an_end(crew: Crew) -> None:
    with crew.hold():
        sent = [crew.send(put(f"{n:02}")) for n in range(35)]
    for one in sent:
        one.result(_TIMEOUT_S)
    assert len(crew.words) == 36
    assert crew.writer.n_commits == 2


def test_nobody_is_told_before_the_commit(crew: Crew) -> None:
    begun, go = threading.Event(), threading.Event()

    def second(connection: Connection) -> None:
        put("second")(connection)
        begun.set()
        assert go.wait(_TIMEOUT_S)

    with crew.hold() as first:
        last = crew.send(second)
    assert begun.wait(_TIMEOUT_S), "the first has passed the open transaction on"
    time.sleep(0.05)
    assert not first.done(), "an answer before the commit"
    assert crew.words == []
    go.set()
    first.result(_TIMEOUT_S)
    assert crew.words == ["held", "second"]
    last.result(_TIMEOUT_S)


def test_the_commit_is_on_disk_when_its_writers_are_told(crew: Crew) -> None:
    for n in range(20):
        crew.write(put(str(n)))
        assert len(crew.words) == n + 1


def test_a_writer_that_fails_undoes_itself_alone(crew: Crew) -> None:
    with crew.hold() as first:
        before, failing, after = crew.send(put("before")), crew.send(fail("failing")), crew.send(put("after"))
    with pytest.raises(ValueError, match="failing"):
        failing.result(_TIMEOUT_S)
    for one in (first, before, after):
        one.result(_TIMEOUT_S)
    assert crew.words == ["held", "before", "after"]
    assert crew.writer.n_commits == 1


def test_a_writer_that_fails_last_still_commits_for_the_others(crew: Crew) -> None:
    with crew.hold() as first:
        failing = crew.send(fail("failing"))
    with pytest.raises(ValueError, match="failing"):
        failing.result(_TIMEOUT_S)
    first.result(_TIMEOUT_S)
    assert crew.words == ["held"]


def complain(reason: str) -> NoReturn:
    raise OperationalError(None, None, sqlite3.OperationalError(reason))


@contextmanager
def broken(engine: Engine, moment: str) -> Iterator[None]:
    def lost(*_: Any) -> None:
        complain("disk I/O error")

    event.listen(engine, moment, lost)
    try:
        yield
    finally:
        event.remove(engine, moment, lost)


def test_a_commit_that_fails_fails_every_writer_of_its_group(crew: Crew) -> None:
    with broken(crew.engine, "commit"):
        with crew.hold() as first:
            others = [crew.send(put(f"{n}")) for n in range(3)] + [crew.send(fail("failing"))]
        for one in (first, *others[:-1]):
            with pytest.raises(UnavailableError, match="repeat the request"):
                one.result(_TIMEOUT_S)
        with pytest.raises(ValueError, match="failing"):
            others[-1].result(_TIMEOUT_S)
    assert crew.words == []
    crew.write(put("next"))
    assert crew.words == ["next"]


def test_a_transaction_that_can_not_begin_fails_one_writer_and_frees_the_turn(crew: Crew) -> None:
    with broken(crew.engine, "begin"), pytest.raises(UnavailableError):
        crew.write(put("never"))
    crew.write(put("next"))
    assert crew.words == ["next"]


def test_a_transaction_the_database_has_undone_is_lost_for_the_whole_group(crew: Crew) -> None:
    def disk_full(connection: Connection) -> None:
        connection.exec_driver_sql("ROLLBACK")  # what SQLite does by itself when the disk is full
        complain("database or disk is full")

    with crew.hold() as first:
        full, after = crew.send(disk_full), crew.send(put("after"))
    for one in (first, full):
        with pytest.raises(UnavailableError):
            one.result(_TIMEOUT_S)
    after.result(_TIMEOUT_S)
    assert crew.words == ["after"], "the next group has a transaction of its own"
