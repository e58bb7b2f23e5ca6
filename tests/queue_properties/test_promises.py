"""Single promises that no order of requests would show: of commits, of the schema, of time and of the threads."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from hpsearch.clock import ManualClock
from hpsearch.errors import UnavailableError
from hpsearch.service.context import Context
from hpsearch.service.operations.maintenance import Maintenance
from hpsearch.service.queue.reaper import reap
from hpsearch.service.results import trials
from hpsearch.service.studies import crud
from hpsearch.settings import Settings
from hpsearch.storage.tables import attempt, result, trial
from tests.invariants import invariants
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, grid


@contextmanager
def stranger(settings: Settings) -> Iterator[Any]:
    """A connection of somebody else, who sees only what is committed."""
    if settings.database_url.startswith("sqlite"):
        connection: Any = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), timeout=0)
    else:
        connection = psycopg.connect(settings.database_url, autocommit=True)
    with closing(connection):
        yield connection


def test_an_answer_is_given_after_its_commit(context: Context, settings: Settings) -> None:
    for _ in range(5):
        study = crud.create(context, ADMIN, definition(budget={"max_trials": 1}))
        worker = StubWorker(context)
        given = worker.one()
        with stranger(settings) as other:
            (found,) = other.execute("SELECT count(*) FROM trial WHERE state = 'RUNNING'").fetchone()
            assert found == 1, "the claim was answered before it was committed"
            assert worker.report(given, complete(0.5)).status == "accepted"
            (found,) = other.execute("SELECT count(*) FROM result").fetchone()
            assert found == 1, "the result was acknowledged before it was committed"
        crud.delete(context, study.study_id)


def test_a_commit_that_fails_is_never_acknowledged(postgres_url: str, settings: Settings, context: Context) -> None:
    if context.store.dialect.name != "postgresql":
        pytest.skip("tests/storage/test_group_writer.py does this for SQLite")
    crud.create(context, ADMIN, definition())
    worker = StubWorker(context)
    given = worker.one()
    with stranger(settings) as other:
        other.execute("""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'could not extend file: no space left' USING ERRCODE = 'disk_full'; END $$
        """)
        other.execute("""
            CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON result
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()
        """)
        with pytest.raises(UnavailableError):
            worker.report(given, complete(0.5))
        assert trials.trial(context, given.trial_id).state == "RUNNING"
        other.execute("DROP TRIGGER at_commit ON result")
    assert worker.report(given, complete(0.5)).status == "accepted"


def test_a_writer_has_the_sqlite_file_to_itself_from_its_first_word(sqlite_url: str, tmp_path: Any) -> None:
    settings = Settings(data_dir=tmp_path / "data", database_url=sqlite_url)
    context = Context.open(settings)
    with closing(context), context.store.write() as tx:
        tx.studies.open_ids()  # has only read so far
        with stranger(settings) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


def _copy(context: Context, table: Any, **changes: Any) -> None:
    """Insert a row of the table once more, with some columns changed."""
    with context.store.write() as tx:
        row = tx.connection.execute(select(table).limit(1)).one()._asdict()
        if "id" in row:
            row |= {"id": None, "uid": "another"}
            del row["id"]
        tx.connection.execute(insert(table).values({**row, **changes}))


def test_the_database_itself_refuses_twins(context: Context) -> None:
    crud.create(context, ADMIN, grid())
    worker = StubWorker(context)
    worker.report(worker.one(), complete(0.5))
    free = {"number": 900, "search_index": 900, "grid_index": 900}
    for column in free:
        with pytest.raises(IntegrityError):
            _copy(context, trial, **{name: value for name, value in free.items() if name != column})
    for table in (attempt, result):
        with pytest.raises(IntegrityError):
            _copy(context, table)
    assert invariants.check(context.store) == []


def test_the_reaper_needs_no_worker(settings: Settings) -> None:
    quick = settings.model_copy(update={"lease_s": 0.4, "heartbeat_s": 0.1, "reaper_s": 0.1})
    context = Context.open(quick)
    with closing(context):
        threads = Maintenance(context)
        threads.start()
        try:
            crud.create(context, ADMIN, definition())
            given = StubWorker(context).one()
            deadline = time.monotonic() + 30.0
            while trials.trial(context, given.trial_id).state == "RUNNING" and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:
            threads.stop()
        assert trials.trial(context, given.trial_id).state == "WAITING"


@pytest.mark.parametrize("outage_s", [20.0, 180.0, 86_400.0])
def test_an_outage_costs_no_attempt(manual_context: Context, manual_clock: ManualClock, outage_s: float) -> None:
    crud.create(manual_context, ADMIN, definition())
    _alive(manual_context)
    worker = StubWorker(manual_context)
    given = worker.one()
    manual_clock.advance(outage_s)
    _alive(manual_context)
    assert reap(manual_context) == 0
    manual_clock.advance(59)
    assert reap(manual_context) == 0, "the lease goes on from where it was"
    manual_clock.advance(2)
    assert reap(manual_context) == 1
    assert trials.trial(manual_context, given.trial_id).attempt == 1


def _alive(context: Context) -> None:
    """A server that starts, and is gone again."""
    threads = Maintenance(context)
    threads.start()
    threads.stop()
