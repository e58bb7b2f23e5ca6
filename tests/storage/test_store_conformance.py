"""Both databases keep every promise of a store; stores that break one are found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from hpsearch.clock import Clock
from hpsearch.storage.dialects import DIALECTS
from hpsearch.storage.dialects.postgresql import Postgresql
from hpsearch.storage.records import ClaimedRow
from hpsearch.storage.store import Store, Transaction
from hpsearch.testing.store_conformance import StoreConformance


class TestStore(StoreConformance):
    """`Store` over SQLite and over PostgreSQL."""

    kind: type[Store] = Store

    @pytest.fixture(autouse=True)
    def _database(self, database_url: str) -> Iterator[None]:
        self.url, self.opened = database_url, list[Store]()
        yield
        for store in self.opened:
            store.close()

    def open(self, clock: Clock | None = None) -> Store:
        store = self.kind(self.url, clock=clock)
        self.opened.append(store)
        return store


class KeepsAll(Store):
    """Commits what a body wrote before it failed."""

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        failure: Exception | None = None
        with super().write() as tx:
            try:
                yield tx
            except ZeroDivisionError as error:
                failure = error
        if failure is not None:
            raise failure


class GivesTwice(Store):
    """Gives a worker what another has just been given."""

    given: list[ClaimedRow] = []

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with super().write() as tx:
            claim = tx.queue.claim

            def again(*, worker_id: int, claim_id: str, n: int, lease_s: float) -> list[ClaimedRow]:
                rows = claim(worker_id=worker_id, claim_id=claim_id, n=n, lease_s=lease_s)
                more, self.given[:] = self.given[: max(0, n - len(rows))], rows
                return [*rows, *more]

            tx.queue.claim = again  # type: ignore[method-assign]
            yield tx


class AcceptsAnyAttempt(Store):
    """Takes the word of an attempt that is over for that of the present one."""

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with super().write() as tx:
            lock = tx.studies.lock

            def careless(study_id: int):  # type: ignore[no-untyped-def]  # noqa: ANN202
                locked = lock(study_id)
                complete = locked.trials.complete

                def accept(ended, end, *, n_models):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
                    present = tx.queue.look_up([ended.uid])[ended.uid]
                    return complete(replace(ended, attempt=present.attempt), end, n_models=n_models)

                locked.trials.complete = accept  # type: ignore[method-assign]
                return locked

            tx.studies.lock = careless  # type: ignore[method-assign]
            yield tx


class Impatient(Postgresql):
    """Takes every event that is committed for settled."""

    def oldest_open_transaction(self, connection: Connection) -> None:  # type: ignore[override]  # noqa: ARG002
        return None


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (KeepsAll, StoreConformance.test_an_error_undoes_its_body_alone),
        (GivesTwice, StoreConformance.test_a_trial_is_given_once),
        (AcceptsAnyAttempt, StoreConformance.test_a_stale_attempt_changes_nothing),
    ],
)
def test_a_broken_store_is_found_out(
    database_url: str, kind: type[Store], test: Callable[[StoreConformance], None]
) -> None:
    _run(database_url, kind, test)


def test_an_event_that_is_told_too_early_is_found_out(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIALECTS, "postgresql", Impatient())
    _run(postgres_url, Store, StoreConformance.test_events_are_followed_without_gaps_while_writers_commit_out_of_order)


def _run(url: str, kind: type[Store], test: Callable[[StoreConformance], None]) -> None:
    suite = TestStore()
    suite.url, suite.opened, suite.kind = url, [], kind
    try:
        with pytest.raises(AssertionError):
            test(suite)
    finally:
        for store in suite.opened:
            store.close()
