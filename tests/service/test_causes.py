"""What happened decides what becomes of a trial, whatever state its worker puts beside the cause."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hpsearch.clock import ManualClock
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers
from hpsearch.service.queue.reaper import reap
from hpsearch.service.results import trials
from hpsearch.service.studies import crud, steering
from hpsearch.wire.studies import ExtendRequest
from tests.invariants import invariants
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition

CRASH = Outcome(state="FAILED", cause="crashed")
ERROR = Outcome(state="FAILED", cause="training_error")


@pytest.fixture
def study_id(manual_context: Context) -> str:
    return crud.create(manual_context, ADMIN, definition()).study_id


@pytest.mark.parametrize("said", ["FAILED", "RELEASED", "INFEASIBLE"])
@pytest.mark.parametrize(
    ("cause", "becomes"),
    [
        ("diverged", "INFEASIBLE"),
        ("training_error", "FAILED"),
        ("crashed", "WAITING"),
        ("stalled", "WAITING"),
        ("shutdown", "WAITING"),
        ("data_mismatch", "WAITING"),
        ("data_missing", "WAITING"),
        ("disk_full", "WAITING"),
        ("infrastructure", "WAITING"),
    ],
)
def test_the_cause_decides(worker: StubWorker, study_id: str, said: str, cause: str, becomes: str) -> None:
    trial = worker.one()
    outcome = Outcome.model_validate({"state": said, "cause": cause})
    assert worker.report(trial, outcome).status == "accepted"
    assert worker.report(trial, outcome).status == "replayed"
    view = trials.trial(worker.ctx, trial.trial_id)
    assert (view.state, view.value) == (becomes, None)
    quarantined = workers.get(worker.ctx, worker.worker_id).state == "QUARANTINED"
    assert quarantined == (cause in ("data_mismatch", "data_missing", "disk_full", "infrastructure"))
    assert crud.get(worker.ctx, study_id).n_trials == (becomes != "WAITING")
    assert invariants.check(worker.ctx.store) == []


@pytest.mark.parametrize("said", ["FAILED", "RELEASED", "INFEASIBLE"])
def test_out_of_memory_is_tried_elsewhere_once_whatever_it_is_called(
    worker: StubWorker, study_id: str, said: str
) -> None:
    outcome = Outcome.model_validate({"state": said, "cause": "oom"})
    trial = worker.one()
    worker.report(trial, outcome)
    assert trials.trial(worker.ctx, trial.trial_id).state == "WAITING"
    other = StubWorker(worker.ctx)
    again = other.one()
    assert (again.trial_id, again.attempt, again.alone) == (trial.trial_id, 2, True)
    other.report(again, outcome)
    view = trials.trial(worker.ctx, trial.trial_id)
    assert (view.state, view.cause) == ("INFEASIBLE", "oom")
    assert crud.get(worker.ctx, study_id).n_trials == 1


@pytest.mark.parametrize(("state", "cause"), [("INFEASIBLE", "diverged"), ("FAILED", "training_error")])
def test_a_worker_that_gives_no_reason_leaves_the_usual_one(
    worker: StubWorker, study_id: str, state: str, cause: str
) -> None:
    trial = worker.one()
    worker.report(trial, Outcome.model_validate({"state": state}))
    view = trials.trial(worker.ctx, trial.trial_id)
    assert (view.state, view.cause, view.attempts[0].cause) == (state, cause, cause)


@pytest.mark.parametrize("state", ["COMPLETE", "PRUNED"])
def test_a_result_has_no_cause(state: str) -> None:
    with pytest.raises(ValidationError, match="has no cause"):
        Outcome.model_validate({"state": state, "value": 0.5, "cause": "diverged"})


def test_only_a_pruner_prunes(worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    assert worker.report(trial, Outcome(state="PRUNED", value=0.5)).status == "invalid"
    assert worker.report(trial, complete(0.5)).status == "accepted"


@pytest.mark.parametrize("name", ["accuracy", "train_accuracy", "test_accuracy"])
def test_no_metric_takes_a_value_it_can_not_have(worker: StubWorker, study_id: str, name: str) -> None:
    trial = worker.one()
    wrong = worker.report(trial, measurements=(Measurement(epoch=1, metrics={name: 7.0}),))
    assert (wrong.status, wrong.action) == ("invalid", "continue")
    assert worker.report(trial, complete(0.5).model_copy(update={"metrics": {name: -0.5}})).status == "invalid"
    assert worker.report(trial, measurements=(Measurement(epoch=1, metrics={name: 1.0, "other": 7.0}),)).detail is None
    assert worker.report(trial, complete(0.5)).status == "accepted"


def test_folds_follow_one_another_and_that_is_the_cap(worker: StubWorker) -> None:
    crud.create(worker.ctx, ADMIN, definition(split={"folds": 3, "test": 0.2}))
    trial = worker.one()
    assert worker.report(trial, epochs=(15,)).status == "accepted"
    assert worker.report(trial, epochs=(16,)).status == "invalid"


def test_a_long_detail_is_cut_by_bytes(worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    worker.report(trial, Outcome(state="FAILED", cause="training_error", detail="€" * 50_000 + " the end"))
    detail = trials.trial(worker.ctx, trial.trial_id).detail or ""
    assert 16 * 1024 - 4 <= len(detail.encode()) <= 16 * 1024
    assert detail.endswith("€ the end")


@pytest.mark.parametrize("how", ["lapses", "crashes", "is released", "runs out of memory"])
def test_a_search_that_is_over_waits_for_no_further_attempt(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock, how: str
) -> None:
    plan = definition(budget={"max_trials": 6, "target": 0.9})
    study_id = crud.create(manual_context, ADMIN, plan).study_id
    left, winner = worker.one(), worker.one()
    assert worker.report(winner, complete(0.95)).status == "accepted"
    assert crud.get(manual_context, study_id).end_reason == "target_reached"
    assert trials.trial(manual_context, left.trial_id).state == "RUNNING", "what runs may end"
    if how == "lapses":
        manual_clock.advance(61)
        assert reap(manual_context) == 1
    else:
        cause = {"crashes": "crashed", "is released": "shutdown", "runs out of memory": "oom"}[how]
        worker.report(left, Outcome.model_validate({"state": "FAILED", "cause": cause}))
    view = crud.get(manual_context, study_id)
    assert (view.state, view.end_reason) == ("COMPLETED", "target_reached"), "nobody is there to train it once more"
    assert trials.trial(manual_context, left.trial_id).state == "CANCELLED"
    assert worker.report(left, complete(0.99)).status != "accepted"
    assert invariants.check(manual_context.store) == []
    steering.extend(manual_context, study_id, ExtendRequest(max_trials=7))


def test_who_left_long_ago_does_not_show_that_others_succeed(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock
) -> None:
    """A worker started again on the same machine is no better than the study whose trials all fail."""
    crud.create(manual_context, ADMIN, definition(budget={"max_trials": 40, "max_failed": 40}))
    assert worker.finish(worker.one()).status == "accepted"
    manual_clock.advance(5)
    alone = StubWorker(manual_context)
    for _ in range(7):
        alone.report(alone.one(), ERROR)
    assert workers.get(manual_context, alone.worker_id).state == "ACTIVE", "the other succeeded before this one came"
    assert worker.finish(worker.one()).status == "accepted"
    manual_clock.advance(601)
    alone.report(alone.one(), ERROR)
    assert workers.get(manual_context, alone.worker_id).state == "ACTIVE", "the other has been away for ten minutes"
    assert worker.finish(worker.one()).status == "accepted"
    alone.report(alone.one(), ERROR)
    assert workers.get(manual_context, alone.worker_id).state == "QUARANTINED"


def test_the_same_claim_again_begins_a_whole_lease(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock, study_id: str
) -> None:
    """Its answer says how long the lease is from now on; the first answer may have been lost a lease ago."""
    (trial,) = worker.claim(1, claim_id="once").trials
    manual_clock.advance(50)
    assert worker.claim(3, claim_id="once").trials == (trial,), "another max_trials changes nothing"
    manual_clock.advance(50)
    assert reap(manual_context) == 0
    manual_clock.advance(11)
    assert reap(manual_context) == 1
    assert worker.claim(1, claim_id="once").trials == (), "an attempt that was given up is not current"
