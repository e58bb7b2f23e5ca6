"""Claims: who gets which trial, and the same answer to the same question."""

from __future__ import annotations

import pytest

from hpsearch.domain.trial import Outcome
from hpsearch.errors import ForbiddenError, NotFoundError
from hpsearch.service.context import Caller, Context
from hpsearch.service.fleet import workers
from hpsearch.service.studies import crud, steering
from hpsearch.wire.claims import ClaimRequest
from hpsearch.wire.studies import StudyPatch
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition


def test_a_claim_gives_trials_in_order_with_what_is_needed_to_train(
    manual_context: Context, worker: StubWorker
) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    reply = worker.claim(4)
    assert [trial.number for trial in reply.trials] == [0, 1, 2, 3]
    assert {trial.attempt for trial in reply.trials} == {1}
    assert len({trial.seed for trial in reply.trials}) == 4
    brief = reply.studies[study.study_id]
    assert (brief.task, brief.metric, brief.direction) == ("multiclass", "accuracy", "maximize")
    assert brief.training.max_epochs == 5
    assert reply.lease_s == manual_context.settings.lease_s


def test_the_same_claim_again_gives_the_same_trials(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition())
    first = worker.claim(2, claim_id="once")
    again = worker.claim(2, claim_id="once")
    assert first.trials == again.trials
    assert [trial.number for trial in worker.claim(10).trials] == [2, 3, 4, 5]


def test_a_repeated_claim_leaves_out_what_has_ended(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition())
    first, second = worker.claim(2, claim_id="once").trials
    worker.report(first, complete(0.5))
    assert [trial.trial_id for trial in worker.claim(2, claim_id="once").trials] == [second.trial_id]


def test_no_trial_is_given_twice(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition())
    other = StubWorker(manual_context)
    given = [trial.trial_id for w in (worker, other, worker) for trial in w.claim(3).trials]
    assert len(given) == len(set(given)) == 6


def test_higher_priority_goes_first(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition(name="early"))
    urgent = crud.create(manual_context, ADMIN, definition(name="urgent"))
    crud.patch(manual_context, urgent.study_id, StudyPatch(priority=5))
    assert {trial.study_id for trial in worker.claim(6).trials} == {urgent.study_id}


def test_a_paused_study_gives_nothing_until_resumed(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    steering.pause(manual_context, study.study_id)
    assert worker.claim(3).trials == ()
    steering.resume(manual_context, study.study_id)
    assert len(worker.claim(3).trials) == 3


@pytest.mark.parametrize("verb", [workers.drain, workers.disable])
def test_a_drained_or_disabled_worker_gets_nothing(manual_context: Context, worker: StubWorker, verb: object) -> None:
    crud.create(manual_context, ADMIN, definition())
    verb(manual_context, worker.worker_id)  # type: ignore[operator]
    assert worker.claim(3).trials == ()
    workers.enable(manual_context, worker.worker_id)
    assert len(worker.claim(3).trials) == 3


def test_a_worker_of_another_token_can_not_be_spoken_for(manual_context: Context) -> None:
    crud.create(manual_context, ADMIN, definition())
    mine = StubWorker(manual_context, Caller("mine", frozenset({"worker"})))
    mine.caller = Caller("other", frozenset({"worker"}))
    with pytest.raises(ForbiddenError):
        mine.claim()


def test_an_unknown_worker_is_told_to_register(manual_context: Context, worker: StubWorker) -> None:
    worker.worker_id = "nobody"
    with pytest.raises(NotFoundError, match="register"):
        worker.claim()


def test_a_claim_wants_between_1_and_1024_trials() -> None:
    for n in (0, 1025):
        with pytest.raises(ValueError, match="max_trials"):
            ClaimRequest(claim_id="c", max_trials=n)


def test_one_worker_leaves_what_an_idle_one_could_begin(manual_context: Context, worker: StubWorker) -> None:
    idle = StubWorker(manual_context)
    assert idle.claim(8).trials == worker.claim(8).trials == ()
    crud.create(manual_context, ADMIN, definition())
    n_waiting = 6
    assert [len(worker.claim(8).trials), len(idle.claim(8).trials)] == [n_waiting // 2, n_waiting // 2]


def test_a_busy_worker_is_not_waited_for(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition())
    StubWorker(manual_context).claim(1)
    assert len(worker.claim(8).trials) == 5


def test_a_trial_lost_twice_is_to_be_trained_alone(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition(budget={"max_trials": 1}))
    seen = []
    for _ in range(3):
        (trial,) = worker.claim(1).trials
        seen.append(trial.alone)
        worker.report(trial, Outcome(state="FAILED", cause="crashed"))
        manual_context.clock.advance(60)  # type: ignore[attr-defined]
    assert seen == [False, False, True]


def test_a_trial_that_met_the_end_of_memory_is_to_be_trained_alone(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition(budget={"max_trials": 1}))
    (trial,) = worker.claim(1).trials
    worker.report(trial, Outcome(state="INFEASIBLE", cause="oom"))
    (again,) = StubWorker(manual_context).claim(1).trials
    assert (trial.alone, again.alone) == (False, True)
