"""Pairs of requests on PostgreSQL that steer or end studies, in both orders: one outcome is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.domain.trial import Outcome
from hpsearch.errors import ConflictError, NotFoundError
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.suggest import suggest
from hpsearch.service.context import Context
from hpsearch.service.queue.reaper import reap
from hpsearch.service.studies import crud, steering
from hpsearch.storage.workers import WorkerRepository
from tests.queue_properties.race import Course
from tests.queue_properties.requests import (
    ERROR,
    POINT,
    Request,
    beats,
    claims,
    create,
    ends,
    fills,
    lapse,
    refused,
    seen,
)
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition


def test_claim_then_cancel(course: Course, worker: StubWorker) -> None:
    study_id = create(course)
    given, view = course.race(claims(worker), lambda ctx: steering.cancel(ctx, study_id))
    assert (view.state, view.counts["CANCELLED"]) == ("CANCELLED", 6)
    assert seen(course, given[0]) == ("CANCELLED", 1, ["CANCELLED"])


def test_cancel_then_claim(course: Course, worker: StubWorker) -> None:
    study_id = create(course)
    view, given = course.race(lambda ctx: steering.cancel(ctx, study_id), claims(worker), waits=False)
    assert (view.counts["CANCELLED"], given) == (6, [])


def test_claim_then_stop(course: Course, worker: StubWorker) -> None:
    study_id = create(course)
    given, view = course.race(claims(worker), lambda ctx: steering.stop(ctx, study_id))
    assert (view.state, view.counts["RUNNING"], view.counts["CANCELLED"]) == ("STOPPING", 1, 5)
    assert seen(course, given[0]) == ("RUNNING", 1, [None])


def test_revival_then_stop(course: Course, worker: StubWorker) -> None:
    trial = lapse(course, worker)
    assert reap(course.ctx) == 1
    answer, view = course.race(beats(worker, trial), lambda ctx: steering.stop(ctx, trial.study_id))
    assert (answer, view.state) == ("accepted", "STOPPING")
    assert seen(course, trial.trial_id) == ("RUNNING", 1, [None])


@pytest.mark.parametrize("other", ["fill", "enqueue"])
def test_fill_then_fill_at_one_less_than_the_budget(course: Course, worker: StubWorker, other: str) -> None:
    study_id = create(course, parallelism=5)
    worker.finish(worker.claim(5).trials[0])
    enqueue: Request = refused(lambda ctx: steering.enqueue(ctx, ADMIN, study_id, POINT), ConflictError)
    second = {"fill": fills(study_id), "enqueue": enqueue}[other]
    assert course.race(fills(study_id), second) == (1, {"fill": 0, "enqueue": "done"}[other])
    view = crud.get(course.ctx, study_id)
    # Where everything is created an enqueued point takes the place of one that nobody has begun.
    assert view.budget.n_created == 6 + view.counts["CANCELLED"]
    assert view.counts["CANCELLED"] == (other == "enqueue")


def test_enqueue_then_fill_at_one_less_than_the_budget(course: Course, worker: StubWorker) -> None:
    study_id = create(course, parallelism=5)
    worker.finish(worker.claim(5).trials[0])
    trial, n = course.race(lambda ctx: steering.enqueue(ctx, ADMIN, study_id, POINT), fills(study_id))
    assert (trial.state, n) == ("WAITING", 0)
    assert crud.get(course.ctx, study_id).budget.n_created == 6


def test_claim_of_all_then_enqueue(course: Course, worker: StubWorker) -> None:
    study_id = create(course)
    enqueue = refused(lambda ctx: steering.enqueue(ctx, ADMIN, study_id, POINT), ConflictError)
    given, answer = course.race(claims(worker, 6), enqueue)
    assert (len(given), answer) == (6, "refused")


def test_create_then_create_with_the_same_key(course: Course) -> None:
    def creates(ctx: Context) -> str:
        return crud.create(ctx, ADMIN, definition(), idempotency_key="once").study_id

    creates(course.ctx)  # the data set is made by whoever needs it first
    first, second = course.race(
        lambda ctx: crud.create(ctx, ADMIN, definition(), idempotency_key="again").study_id,
        lambda ctx: crud.create(ctx, ADMIN, definition(), idempotency_key="again").study_id,
    )
    assert first == second
    assert len(crud.listing(course.ctx, limit=10, page_token=None).items) == 2


def test_enqueue_then_enqueue_with_the_same_key(course: Course) -> None:
    study_id = create(course)

    def enqueue(ctx: Context) -> str:
        return steering.enqueue(ctx, ADMIN, study_id, POINT, idempotency_key="once").trial_id

    first, second = course.race(enqueue, enqueue)
    assert first == second


@pytest.mark.parametrize(("late", "answer"), [(ERROR, "replayed"), (complete(0.9), "result_conflict")])
@pytest.mark.parametrize("retry_first", [True, False])
def test_retry_and_a_late_report(
    course: Course, worker: StubWorker, late: Outcome, answer: str, retry_first: bool
) -> None:
    create(course)
    trial = worker.one()
    worker.report(trial, ERROR)
    pair = (lambda ctx: steering.retry_trial(ctx, trial.trial_id).state, ends(worker, trial, late))
    both = course.race(*(pair if retry_first else pair[::-1]))
    assert set(both) == {"WAITING", answer}
    assert seen(course, trial.trial_id) == ("WAITING", 1, ["FAILED"])


@pytest.mark.parametrize("retry_first", [True, False])
def test_retry_and_the_completion_that_ends_the_study(course: Course, worker: StubWorker, retry_first: bool) -> None:
    study_id = create(course, budget={"max_trials": 2})
    failed, last = worker.claim(2).trials
    worker.report(failed, ERROR)
    pair = (lambda ctx: steering.retry_failed(ctx, study_id).n_retried, ends(worker, last))
    both = course.race(*(pair if retry_first else pair[::-1]))
    assert set(both) == {1, "accepted"}
    assert crud.get(course.ctx, study_id).state == "RUNNING"
    ended = worker.work(crud.get(course.ctx, study_id))
    assert (ended.state, ended.n_trials) == ("COMPLETED", 2)


class QuickSampler:
    """Suggests as the sampler process would, without its process."""

    def suggest(self, _study_id: str, request: SuggestRequest, **_: float) -> list[Any]:
        algorithm = request.algorithm.model_copy(update={"kind": "random"})
        return suggest(SuggestRequest(**{**vars(request), "algorithm": algorithm, "observations": ()}))

    def close(self) -> None:
        """Nothing to close."""


def test_suggest_then_suggest(course: Course) -> None:
    for ctx in course.replicas:
        ctx.sampler.close()
        ctx.sampler = QuickSampler()  # type: ignore[assignment]
    study_id = create(course, algorithm={"kind": "bayesian", "seed": 1})
    n, dropped = course.race(fills(study_id), fills(study_id))
    assert n > 0
    assert dropped == 0, "points suggested before somebody else's were created know too little"
    assert crud.get(course.ctx, study_id).budget.n_created == n


def test_claim_then_pause(course: Course, worker: StubWorker) -> None:
    study_id = create(course)
    given, view = course.race(claims(worker), lambda ctx: steering.pause(ctx, study_id))
    assert (view.state, view.counts["RUNNING"]) == ("PAUSED", 1)
    assert seen(course, given[0]) == ("RUNNING", 1, [None])
    assert worker.claim(10).trials == ()


def test_pause_then_claim(course: Course, worker: StubWorker) -> None:
    study_id = create(course)
    view, given = course.race(lambda ctx: steering.pause(ctx, study_id), claims(worker), waits=False)
    assert (view.state, given) == ("PAUSED", [])


@pytest.mark.parametrize("delete_first", [True, False])
def test_delete_and_a_late_complete(course: Course, worker: StubWorker, delete_first: bool) -> None:
    study_id = create(course)
    trial = worker.one()
    other_id = create(course)
    other = worker.claim(10).trials[-1]
    assert other.study_id == other_id
    steering.cancel(course.ctx, study_id)
    pair = (lambda ctx: crud.delete(ctx, study_id), ends(worker, trial))
    both = course.race(*(pair if delete_first else pair[::-1]))
    assert set(both) == {None, "not_found" if delete_first else "stale_attempt"}
    with pytest.raises(NotFoundError):
        crud.get(course.ctx, study_id)
    assert worker.report(other).status == "accepted"


@pytest.mark.parametrize("study_first", [True, False])
def test_the_end_of_a_search_and_a_claim_by_the_same_worker(
    course: Course, worker: StubWorker, study_first: bool
) -> None:
    study_id = create(course, budget={"max_trials": 6, "target": 0.8})
    trial = worker.one()
    pair = (ends(worker, trial), claims(worker))
    both = course.race(*(pair if study_first else pair[::-1]), waits=True)
    assert "accepted" in both
    ended = worker.work(crud.get(course.ctx, study_id))
    assert (ended.state, ended.end_reason) == ("RUNNING" if not study_first else "COMPLETED", "target_reached")


def test_the_end_of_a_search_deadlocks_with_no_claim_under_way(course: Course, worker: StubWorker) -> None:
    create(course, budget={"max_trials": 6, "target": 0.8})
    trial = worker.one()
    course.clock.advance(10)  # so that the claim notes that its worker was seen
    answer, given = course.race(ends(worker, trial), claims(worker), hold_after=(WorkerRepository, "count_success"))
    assert (answer, given) == ("accepted", [])
