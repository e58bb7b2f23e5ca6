"""Requests as functions of a server process, ready to be raced against each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hpsearch.domain.trial import Outcome
from hpsearch.service.context import Context
from hpsearch.service.queue.filling import fill
from hpsearch.service.results import trials
from hpsearch.service.studies import crud
from hpsearch.wire.claims import ClaimedTrial
from hpsearch.wire.studies import EnqueueRequest
from tests.queue_properties.race import Course, through
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition

Request = Callable[[Context], Any]
ERROR = Outcome(state="FAILED", cause="training_error", detail="ValueError")
POINT = EnqueueRequest(params={"learning_rate": 0.01, "dropout": 0.1})


def create(course: Course, **changes: Any) -> str:
    return crud.create(course.ctx, ADMIN, definition(**changes)).study_id


def ends(worker: StubWorker, trial: ClaimedTrial, outcome: Outcome | None = None, **changes: Any) -> Request:
    return lambda ctx: through(worker, ctx).report(trial, outcome or complete(0.9), **changes).status


def beats(worker: StubWorker, trial: ClaimedTrial) -> Request:
    return lambda ctx: through(worker, ctx).report(trial, epochs=(1,)).status


def claims(worker: StubWorker, n: int = 1, claim_id: str | None = None) -> Request:
    return lambda ctx: [t.trial_id for t in through(worker, ctx).claim(n, claim_id).trials]


def fills(study_id: str) -> Request:
    def act(ctx: Context) -> int:
        with ctx.store.read() as tx:
            number = tx.studies.get(study_id).id
        return fill(ctx, number)

    return act


def refused(act: Request, error: type[Exception]) -> Request:
    def tried(ctx: Context) -> str:
        try:
            act(ctx)
        except error:
            return "refused"
        return "done"

    return tried


def seen(course: Course, trial_id: str) -> tuple[str, int, list[str | None]]:
    view = trials.trial(course.ctx, trial_id)
    return view.state, view.attempt, [attempt.state for attempt in view.attempts]


def lapse(course: Course, worker: StubWorker) -> ClaimedTrial:
    """A running trial whose lease has passed."""
    create(course)
    trial = worker.one()
    course.clock.advance(61)
    return trial
