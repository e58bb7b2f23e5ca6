"""How far ahead a search that learns creates its trials: as the fleet's slots and its own budget allow."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.clock import ManualClock
from hpsearch.domain.progress import FleetSlots, open_limit
from hpsearch.domain.trial import Outcome
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers
from hpsearch.service.ids import new_uid
from hpsearch.service.queue import claims, reports
from hpsearch.service.queue.filling import fill
from hpsearch.service.slots import SlotsCache
from hpsearch.service.studies import crud
from hpsearch.wire.claims import ClaimedTrial, ClaimRequest
from hpsearch.wire.pages import StudyView
from hpsearch.wire.reports import ReportRequest, TrialReport
from hpsearch.wire.workers import WorkerProgress
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, objective, open_studies


def bayesian(n_trials: int, **changes: Any) -> Any:
    return definition(algorithm={"kind": "bayesian", "seed": 1}, budget={"max_trials": n_trials}, **changes)


def told(n_slots: int | None) -> WorkerProgress:
    return WorkerProgress(engine="native", n_slots=n_slots)


def ask(worker: StubWorker, n: int, n_slots: int | None) -> tuple[ClaimedTrial, ...]:
    """Claim, saying how many slots there are, as often as there is something more after filling."""
    found: list[ClaimedTrial] = []
    while True:
        request = ClaimRequest(claim_id=new_uid(), max_trials=max(1, n - len(found)), progress=told(n_slots))
        got = claims.claim(worker.ctx, worker.caller, worker.worker_id, request).trials
        found += got
        n_new = sum(fill(worker.ctx, study_id) for study_id in open_studies(worker.ctx))
        if len(found) >= n or not (got or n_new):
            return tuple(found)


def open_of(ctx: Context, study: StudyView) -> int:
    counts = crud.get(ctx, study.study_id).counts
    return counts.get("WAITING", 0) + counts.get("RUNNING", 0)


@pytest.mark.parametrize(
    ("n_slots", "n_workers", "max_trials", "expected"),
    [
        (1, 1, 100, 4),
        (2, 1, 100, 4),
        (2, 1, 8, 4),
        (4, 2, 100, 8),
        (10, 1, 256, 12),
        (64, 1, 100, 12),
        (256, 1, 256, 32),
        (256, 1, 4096, 258),
        (0, 1, 100, 4),
        (0, 0, 100, 12),
        (None, 3, 100, 12),
    ],
)
def test_a_search_that_learns_follows_the_slots_within_what_it_can_bear(
    n_slots: int | None, n_workers: int, max_trials: int, expected: int
) -> None:
    assert open_limit(bayesian(max_trials), max_trials, FleetSlots(n_workers, n_slots)) == expected


def test_other_searches_and_a_set_limit_do_not_follow_the_slots() -> None:
    fleet_slots = FleetSlots(1, 2)
    assert open_limit(definition(), 100, fleet_slots) == 256
    assert open_limit(bayesian(100, parallelism=50), 100, fleet_slots) == 50


def test_two_slots_have_four_trials_open_and_many_have_what_the_search_can_bear(manual_context: Context) -> None:
    worker = StubWorker(manual_context)
    small = crud.create(manual_context, ADMIN, bayesian(256))
    assert len(ask(worker, 200, 2)) == open_of(manual_context, small) == 4
    # The next claim says that there is room for more: it counts at once.
    ask(worker, 200, 256)
    assert open_of(manual_context, small) == 32


def test_a_worker_that_does_not_say_leaves_it_to_the_search(manual_context: Context) -> None:
    study = crud.create(manual_context, ADMIN, bayesian(256))
    silent, small = StubWorker(manual_context), StubWorker(manual_context)
    ask(small, 2, 2)
    while silent.claim(8).trials or sum(fill(manual_context, one) for one in open_studies(manual_context)):
        pass
    assert open_of(manual_context, study) == 32


def test_workers_that_are_gone_or_get_nothing_do_not_count(manual_context: Context, manual_clock: ManualClock) -> None:
    slots = SlotsCache(present_s=60)
    gone, drained, here = (StubWorker(manual_context) for _ in range(3))
    ask(gone, 1, 8)
    manual_clock.advance(61)
    ask(drained, 1, 4)
    workers.drain(manual_context, drained.worker_id)
    ask(here, 1, 2)
    with manual_context.store.read() as tx:
        assert slots.of_fleet(tx) == FleetSlots(n_workers=1, n_slots=2)


def test_the_fleet_is_looked_at_once_until_a_worker_says_something_new(manual_context: Context) -> None:
    worker = StubWorker(manual_context)
    ask(worker, 1, 2)
    with manual_context.store.read() as tx:
        assert manual_context.slots.of_fleet(tx).n_slots == 2
        tx.workers.slots = None  # type: ignore[method-assign,assignment]  # another look would fail
        assert manual_context.slots.of_fleet(tx).n_slots == 2
    ask(worker, 1, 2)
    ask(worker, 1, 3)
    with manual_context.store.read() as tx:
        assert manual_context.slots.of_fleet(tx).n_slots == 3


def test_what_is_said_during_a_look_is_looked_for_again(manual_context: Context) -> None:
    worker = StubWorker(manual_context)
    with manual_context.store.read() as tx:
        look = tx.workers.slots

        def late(since: Any) -> list[int | None]:
            found = look(since)
            manual_context.slots.forget()
            return found

        tx.workers.slots = late  # type: ignore[method-assign]
        manual_context.slots.of_fleet(tx)
    ask(worker, 1, 5)
    with manual_context.store.read() as tx:
        assert manual_context.slots.of_fleet(tx).n_slots == 5


def test_a_report_tells_of_slots_too(manual_context: Context) -> None:
    crud.create(manual_context, ADMIN, bayesian(40))
    worker = StubWorker(manual_context)
    (trial,) = ask(worker, 1, 2)[:1]
    for n_slots in (6, 6, 7):
        entry = TrialReport(trial_id=trial.trial_id, attempt=trial.attempt)
        request = ReportRequest(reports=(entry,), progress=told(n_slots))
        reports.report(manual_context, ADMIN, worker.worker_id, request)
        with manual_context.store.read() as tx:
            assert manual_context.slots.of_fleet(tx).n_slots == n_slots


def test_what_a_worker_does_is_known_at_once(manual_context: Context) -> None:
    crud.create(manual_context, ADMIN, bayesian(40))
    worker = StubWorker(manual_context)

    def seen() -> tuple[str | None, bool]:
        (view,) = workers.listing(manual_context, limit=5, page_token=None).items
        return view.stage, view.progress is not None

    assert seen() == ("starting", False)
    trial = ask(worker, 1, 1)[0]
    assert seen() == ("training", True)
    entry = TrialReport(trial_id=trial.trial_id, attempt=trial.attempt)
    for stage in ("fetching", "compiling", "training", "compiling"):
        progress = WorkerProgress(engine="fused", n_slots=1, stage=stage)
        reports.report(manual_context, ADMIN, worker.worker_id, ReportRequest(reports=(entry,), progress=progress))
        assert seen() == (stage, True)
    release = entry.model_copy(update={"outcome": Outcome(state="RELEASED", cause="shutdown")})
    reports.report(manual_context, ADMIN, worker.worker_id, ReportRequest(reports=(release,)))
    assert seen() == ("idle", False)


def test_a_trial_is_suggested_after_each_result_knowing_it(
    manual_context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[int] = []
    suggest = manual_context.sampler.suggest

    def spied(study_id: str, request: Any, *, timeout_s: float) -> Any:
        known.append(sum(one.value is not None for one in request.observations))
        return suggest(study_id, request, timeout_s=timeout_s)

    study = crud.create(manual_context, ADMIN, bayesian(20))
    worker = StubWorker(manual_context)
    held = list(ask(worker, 3, 2))
    monkeypatch.setattr(manual_context.sampler, "suggest", spied)
    for n_finished in range(1, 10):
        trial = held.pop(0)
        worker.report(trial, complete(objective(trial.params)))
        assert sum(fill(manual_context, one) for one in open_studies(manual_context)) == 1
        assert known[-1] == n_finished
        assert open_of(manual_context, study) == 4
        held += ask(worker, 1, 2)


def test_a_wish_that_was_met_is_forgotten(manual_context: Context) -> None:
    worker, other = StubWorker(manual_context), StubWorker(manual_context)
    assert worker.claim(30).trials == ()
    assert other.claim(5).trials == ()
    assert manual_context.signals.n_wanted() == 35
    crud.create(manual_context, ADMIN, definition(budget={"max_trials": 40}))
    manual_context.signals.claimed(other.worker_id, 1)
    worker.claim(30)
    assert manual_context.signals.n_wanted() == 5


def test_a_worker_that_gives_trials_back_frees_its_place(manual_context: Context) -> None:
    study = crud.create(manual_context, ADMIN, bayesian(40))
    worker = StubWorker(manual_context)
    held = ask(worker, 4, 2)
    worker.report(held[0], Outcome(state="RELEASED", cause="shutdown"))
    for one in open_studies(manual_context):
        fill(manual_context, one)
    assert open_of(manual_context, study) == 4
