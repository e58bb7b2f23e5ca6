"""Statements nobody reads travel together on PostgreSQL, and fail with what is waited for next."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from hpsearch.errors import UnavailableError
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.store import Store, Transaction
from hpsearch.storage.tables import replica

_ADD = unread(insert(replica).inline())


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store over SQLite, where the mark changes nothing, and over PostgreSQL."""
    with Store(database_url) as opened:
        yield opened


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[Store]:
    """A store over PostgreSQL."""
    with Store(postgres_url) as opened:
        yield opened


def _add(tx: Transaction, uid: str) -> None:
    tx.connection.execute(_ADD, {"uid": uid, "alive_at": 0.0, "started_at": tx.at})


def _write(store: Store, *uids: str, then: Callable[[Transaction], object] = lambda _: None) -> None:
    with store.write() as tx:
        for uid in uids:
            _add(tx, uid)
        then(tx)


def _uids(tx: Transaction) -> list[str]:
    return list(tx.connection.execute(select(replica.c.uid).order_by(replica.c.uid)).scalars())


def test_what_was_sent_is_seen_by_the_next_statement_and_kept(store: Store) -> None:
    with store.write() as tx:
        _add(tx, "a")
        _add(tx, "b")
        assert _uids(tx) == ["a", "b"]
        _add(tx, "c")
    with store.read() as tx:
        assert _uids(tx) == ["a", "b", "c"]


def test_a_failure_is_told_by_the_commit_and_nothing_is_kept(store: Store) -> None:
    with pytest.raises(IntegrityError):
        _write(store, "a", "a", "b")
    _write(store, "after")
    with store.read() as tx:
        assert _uids(tx) == ["after"]


def test_a_connection_goes_back_in_its_ordinary_mode(postgres: Store) -> None:
    with pytest.raises(IntegrityError):
        _write(postgres, "a", "a")
    with pytest.raises(ZeroDivisionError):
        _write(postgres, "a", then=lambda _: 1 / 0)
    _write(postgres, "a")
    with postgres.read() as tx:
        driver = tx.connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        assert driver.pgconn.pipeline_status == psycopg.pq.PipelineStatus.OFF


def test_a_failure_is_told_by_the_next_statement_that_is_read(store: Store) -> None:
    went_on: list[str] = []
    with pytest.raises(IntegrityError):
        _write(store, "a", "a", then=lambda tx: went_on.extend(_uids(tx)))
    assert went_on == []
    with store.read() as tx:
        assert _uids(tx) == []


def test_an_error_of_the_body_undoes_what_was_sent(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        _write(store, "a", then=lambda _: 1 / 0)
    with store.read() as tx:
        assert _uids(tx) == []


def test_nothing_is_waited_for_before_the_commit(postgres: Store) -> None:
    slow = unread(text("SELECT pg_sleep(0.3)"))
    start_s = time.monotonic()
    with postgres.write() as tx:
        tx.connection.execute(slow)
        tx.connection.execute(slow)
        sent_s = time.monotonic() - start_s
    assert sent_s < 0.3
    assert time.monotonic() - start_s >= 0.6


def test_the_server_going_away_is_an_outage(postgres: Store, caplog: pytest.LogCaptureFixture) -> None:
    def lose(tx: Transaction) -> None:
        backend = tx.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        _add(tx, "b")
        with ThreadPoolExecutor(1) as other:
            assert other.submit(_terminate, postgres, backend).result()
        _uids(tx)

    with pytest.raises(UnavailableError):
        _write(postgres, "a", then=lose)
    with postgres.write() as tx:
        assert _uids(tx) == []
    assert caplog.records == []  # the pool complains of a lost connection that nobody told it of


def test_the_server_going_away_before_the_commit_is_an_outage(
    postgres: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def lose(tx: Transaction) -> None:
        backend = tx.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        _add(tx, "b")
        with ThreadPoolExecutor(1) as other:
            assert other.submit(_terminate, postgres, backend).result()

    with pytest.raises(UnavailableError):
        _write(postgres, "a", then=lose)
    with postgres.write() as tx:
        assert _uids(tx) == []
    assert caplog.records == []


def test_a_connection_that_is_known_to_be_lost_is_an_outage(postgres: Store, caplog: pytest.LogCaptureFixture) -> None:
    def close(tx: Transaction) -> None:
        tx.connection.connection.driver_connection.close()  # type: ignore[union-attr]
        _add(tx, "a")

    with pytest.raises(UnavailableError):
        _write(postgres, then=close)
    _write(postgres, "a")
    assert caplog.records == []


def _terminate(store: Store, backend: int) -> bool:
    with store.read() as tx:
        return bool(tx.connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": backend}).scalar_one())


def test_a_lock_that_is_not_given_is_an_outage(postgres: Store) -> None:
    with postgres.write() as holder:
        _add(holder, "a")
        assert _uids(holder) == ["a"]
        hurry = text("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(UnavailableError, match="lock timeout"):
            _write(postgres, "0", then=lambda tx: (tx.connection.execute(hurry), _add(tx, "a"), _add(tx, "b")))


def test_reading_lets_a_connection_keep_what_it_has_prepared(postgres: Store) -> None:
    """Psycopg prepares what it has sent five times, and forgets all of it after a rollback."""
    for number in range(8):
        _write(postgres, f"kept {number}")
        with postgres.read() as tx:
            _uids(tx)
    with postgres.read() as tx:
        driver = tx.connection.connection.driver_connection
        assert driver is not None
        prepared = tx.connection.execute(text("SELECT statement FROM pg_prepared_statements")).scalars().all()
    assert [statement for statement in prepared if statement.startswith("INSERT INTO replica")], prepared
    assert [statement for statement in prepared if statement.startswith("SELECT replica.uid")], prepared
