"""Heartbeats of servers: how long none was alive, and which rows are kept."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import select

from hpsearch.clock import ManualClock
from hpsearch.storage.store import Store
from hpsearch.storage.tables import replica


def _beat(store: Store, uid: str) -> None:
    with store.write() as tx:
        tx.replicas.beat(uid)


def _silence_s(store: Store) -> float | None:
    with store.read() as tx:
        return tx.replicas.silence_s()


def test_the_silence_is_that_of_all_servers(manual_store: Store, manual_clock: ManualClock) -> None:
    assert _silence_s(manual_store) is None
    _beat(manual_store, "one")
    manual_clock.advance(10)
    _beat(manual_store, "other")
    manual_clock.advance(5)
    assert _silence_s(manual_store) == pytest.approx(5)
    _beat(manual_store, "one")
    assert _silence_s(manual_store) == pytest.approx(0)


def test_the_last_heartbeat_is_kept_however_old(manual_store: Store, manual_clock: ManualClock) -> None:
    for uid in ("first", "second", "last"):
        _beat(manual_store, uid)
        manual_clock.advance(100)
    with manual_store.write() as tx:
        tx.replicas.forget_older(150)
    manual_clock.advance(1_000)
    with manual_store.write() as tx:
        tx.replicas.forget_older(150)
        assert tx.connection.execute(select(replica.c.uid)).scalars().all() == ["last"]


def test_shifted_heartbeats_are_as_much_later(manual_store: Store, manual_clock: ManualClock) -> None:
    _beat(manual_store, "one")
    manual_clock.advance(60)
    with manual_store.write() as tx:
        tx.replicas.shift(60)
        assert tx.replicas.silence_s() == pytest.approx(0)


def test_one_server_at_a_time_makes_up_for_an_outage(postgres_url: str) -> None:
    def take_turn(store: Store) -> None:
        with store.write() as tx:
            tx.replicas.take_turn()

    with Store(postgres_url) as store, ThreadPoolExecutor(1) as pool:
        with store.write() as tx:
            tx.replicas.take_turn()
            other: Future[None] = pool.submit(take_turn, store)
            with pytest.raises(TimeoutError):
                other.result(timeout=0.2)
        other.result(timeout=10)
