"""Pairs of requests on PostgreSQL, in both orders, the second seen waiting for the first: one outcome is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hpsearch.service.context import Context
from hpsearch.service.queue import reports
from hpsearch.service.queue.reaper import reap
from hpsearch.service.results import models
from hpsearch.service.results import trials as results
from hpsearch.service.studies import crud, steering
from hpsearch.wire.claims import ClaimedTrial
from hpsearch.wire.reports import ReportRequest, TrialReport
from tests.queue_properties.race import Course
from tests.queue_properties.requests import Request, beats, claims, create, ends, lapse, seen
from tests.service.fleet_stub import ADMIN, StubWorker, complete, objective


def test_complete_then_reap(course: Course, worker: StubWorker) -> None:
    trial = lapse(course, worker)
    assert course.race(ends(worker, trial), reap) == ("accepted", 0)
    assert seen(course, trial.trial_id) == ("COMPLETE", 1, ["COMPLETE"])


def test_reap_then_complete(course: Course, worker: StubWorker) -> None:
    trial = lapse(course, worker)
    assert course.race(reap, ends(worker, trial)) == (1, "accepted")
    assert seen(course, trial.trial_id) == ("COMPLETE", 1, ["COMPLETE"])


@pytest.mark.parametrize(("value", "answer"), [(0.9, "replayed"), (0.8, "result_conflict")])
def test_complete_then_complete(course: Course, worker: StubWorker, value: float, answer: str) -> None:
    create(course)
    trial = worker.one()
    assert course.race(ends(worker, trial), ends(worker, trial, complete(value))) == ("accepted", answer)
    assert results.trial(course.ctx, trial.trial_id).value == 0.9


def test_complete_then_cancel(course: Course, worker: StubWorker) -> None:
    study_id = create(course)
    trial = worker.one()
    answer, view = course.race(ends(worker, trial), lambda ctx: steering.cancel(ctx, study_id))
    assert (answer, view.state, view.counts["COMPLETE"]) == ("accepted", "CANCELLED", 1)
    assert seen(course, trial.trial_id)[0] == "COMPLETE"


def test_cancel_then_complete(course: Course, worker: StubWorker) -> None:
    study_id = create(course)
    trial = worker.one()
    view, answer = course.race(lambda ctx: steering.cancel(ctx, study_id), ends(worker, trial))
    assert (view.state, answer) == ("CANCELLED", "stale_attempt")
    assert seen(course, trial.trial_id) == ("CANCELLED", 1, ["CANCELLED"])


def test_heartbeat_then_reap(course: Course, worker: StubWorker) -> None:
    trial = lapse(course, worker)
    assert course.race(beats(worker, trial), reap, waits=False) == ("accepted", 0)
    assert seen(course, trial.trial_id) == ("RUNNING", 1, [None])


def test_reap_then_heartbeat(course: Course, worker: StubWorker) -> None:
    trial = lapse(course, worker)
    assert course.race(reap, beats(worker, trial)) == (1, "accepted")
    assert seen(course, trial.trial_id) == ("RUNNING", 1, [None])
    assert reap(course.ctx) == 0


def test_claim_then_claim_of_another_worker(course: Course, worker: StubWorker) -> None:
    create(course)
    one, other = course.race(claims(worker, 4), claims(course.worker(), 4), waits=False)
    assert (len(one), len(other)) == (4, 2)
    assert not set(one) & set(other)


def test_claim_then_the_same_claim_again(course: Course, worker: StubWorker) -> None:
    create(course)
    one, again = course.race(claims(worker, 2, "once"), claims(worker, 2, "once"))
    assert one == again
    assert len(worker.claim(100).trials) == 4


def test_reap_then_reap(course: Course, worker: StubWorker) -> None:
    trial = lapse(course, worker)
    assert course.race(reap, reap) == (1, 0)
    assert seen(course, trial.trial_id) == ("WAITING", 1, ["LOST"])


def test_reap_and_new_claim_then_reap(course: Course, worker: StubWorker) -> None:
    trial = lapse(course, worker)
    other = course.worker()

    def reap_and_claim(ctx: Context) -> list[str]:
        # In one transaction, so that the second reaper has seen the first attempt and waits.
        with ctx.store.write() as tx:
            assert reap(_within(ctx, tx)) == 1
            return claims(other)(_within(ctx, tx))  # type: ignore[no-any-return]

    given, n = course.race(reap_and_claim, reap)
    assert (given, n) == ([trial.trial_id], 0)
    assert seen(course, trial.trial_id) == ("RUNNING", 2, ["LOST", None])


def _within(ctx: Context, tx: Any) -> Context:
    """A context whose transactions are all one that is already open."""
    import copy
    from contextlib import nullcontext
    from types import SimpleNamespace

    inside = copy.copy(ctx)
    inside.store = SimpleNamespace(read=lambda: nullcontext(tx), write=lambda: nullcontext(tx))  # type: ignore[assignment]
    return inside


def test_packs_of_two_studies_in_opposite_order(course: Course, worker: StubWorker) -> None:
    other = course.worker()
    for name in ("one", "two"):
        create(course, name=name, budget={"max_trials": 2})
    packs = [[worker.one(), other.one()] for _ in range(2)]
    mine, theirs = zip(*packs, strict=True)

    def reports_all(who: StubWorker, trials: Sequence[ClaimedTrial]) -> Request:
        request = ReportRequest(
            reports=tuple(
                TrialReport(trial_id=t.trial_id, attempt=t.attempt, outcome=complete(objective(t.params)))
                for t in trials
            )
        )
        return lambda ctx: {r.status for r in reports.report(ctx, ADMIN, who.worker_id, request).results}

    both = course.race(reports_all(worker, mine), reports_all(other, theirs[::-1]))
    assert both == ({"accepted"}, {"accepted"})
    assert {study.state for study in crud.listing(course.ctx, limit=10, page_token=None).items} == {"COMPLETED"}


@pytest.mark.parametrize("second", ["put", "delete"])
def test_put_of_a_model_then_another_or_its_end(
    course: Course, worker: StubWorker, tmp_path: Path, second: str
) -> None:
    study_id = create(course)
    trial = worker.one()

    def put(name: str) -> Request:
        path = tmp_path / name
        path.write_bytes(name.encode())
        return lambda ctx: models.put(ctx, ADMIN, worker.worker_id, trial.trial_id, 1, path).digest

    def end(ctx: Context) -> None:
        steering.cancel(ctx, study_id)
        crud.delete(ctx, study_id)

    digest, _ = course.race(put("one"), put("two") if second == "put" else end)
    assert len(digest) == 64
