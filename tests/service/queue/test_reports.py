"""Reports: accepted exactly once, whatever is sent again, late, or by somebody else."""

from __future__ import annotations

import pytest

from hpsearch.clock import ManualClock
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers
from hpsearch.service.queue import reports
from hpsearch.service.queue.reaper import reap
from hpsearch.service.results import events, trials
from hpsearch.service.studies import crud, steering
from hpsearch.wire.reports import ReportRequest, TrialReport
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition

CRASH = Outcome(state="FAILED", cause="crashed", detail="killed by signal 9")


@pytest.fixture
def study_id(manual_context: Context) -> str:
    return crud.create(manual_context, ADMIN, definition()).study_id


def test_a_result_is_accepted_and_read_back(manual_context: Context, worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    outcome = complete(0.75, device_seconds=2.5, stop_reason="early_stopping")
    assert worker.report(trial, outcome, epochs=(1, 2)).status == "accepted"
    view = trials.trial(manual_context, trial.trial_id)
    assert (view.state, view.value, view.stop_reason, view.device_seconds) == ("COMPLETE", 0.75, "early_stopping", 2.5)
    assert [(a.attempt, a.state) for a in view.attempts] == [(1, "COMPLETE")]
    assert [m.epoch for m in trials.measurements(manual_context, trial.trial_id).items] == [1, 2]
    assert crud.get(manual_context, study_id).n_trials == 1


def test_the_same_result_again_is_replayed_and_another_one_refused(worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    assert worker.report(trial, complete(0.75)).status == "accepted"
    assert worker.report(trial, complete(0.75)).status == "replayed"
    assert worker.report(trial, complete(0.76)).status == "result_conflict"
    assert trials.trial(worker.ctx, trial.trial_id).value == 0.75


@pytest.mark.parametrize("guess", [2, 99])
def test_a_guessed_attempt_is_stale(worker: StubWorker, study_id: str, guess: int) -> None:
    trial = worker.one()
    result = worker.report(trial, complete(0.9), attempt=guess)
    assert (result.status, result.action) == ("stale_attempt", "stop")
    assert trials.trial(worker.ctx, trial.trial_id).state == "RUNNING"


def test_another_workers_trial_is_forbidden(manual_context: Context, worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    assert StubWorker(manual_context).report(trial, complete(0.9)).status == "forbidden"
    assert worker.report(trial).status == "accepted"
    assert "report.forbidden" in {event.kind for event in events.since(manual_context, study_id, after=None)}


def test_epochs_are_kept_once_and_rise(worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    assert worker.report(trial, epochs=(1, 3)).status == "accepted"
    assert worker.report(trial, epochs=(1, 3, 4)).status == "accepted"
    assert worker.report(trial, epochs=(2,)).status == "result_conflict"
    other = (Measurement(epoch=3, metrics={"accuracy": 0.9}),)
    assert worker.report(trial, measurements=other).status == "result_conflict"
    stored = trials.measurements(worker.ctx, trial.trial_id).items
    assert [(m.epoch, m.metrics["accuracy"]) for m in stored] == [(1, 0.5), (3, 0.5), (4, 0.5)]


@pytest.mark.parametrize(
    ("epochs", "outcome"),
    [((6,), None), ((2, 1), None), ((1,), complete(7.0)), ((), Outcome(state="COMPLETE", value=0.5, epochs=6))],
)
def test_what_can_not_be_is_refused_and_changes_nothing(
    worker: StubWorker, study_id: str, epochs: tuple[int, ...], outcome: Outcome | None
) -> None:
    trial = worker.one()
    result = worker.report(trial, outcome, epochs=epochs)
    assert result.status == "invalid"
    assert result.detail
    assert trials.measurements(worker.ctx, trial.trial_id).items == ()
    assert trials.trial(worker.ctx, trial.trial_id).state == "RUNNING"


def test_a_released_trial_goes_back_at_once_and_counts_against_nothing(worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    assert worker.report(trial, Outcome(state="RELEASED", cause="shutdown")).status == "accepted"
    again = worker.one()
    assert (again.trial_id, again.attempt, again.params, again.seed) == (trial.trial_id, 2, trial.params, trial.seed)


def test_a_poison_trial_fails_after_exactly_five_crashes(
    worker: StubWorker, manual_clock: ManualClock, study_id: str
) -> None:
    trial = worker.one()
    for attempt in range(1, 6):
        assert worker.report(trial, CRASH, attempt=attempt).status == "accepted"
        manual_clock.advance(300)
        workers.enable(worker.ctx, worker.worker_id)
        if attempt < 5:
            assert worker.one().trial_id == trial.trial_id
    view = trials.trial(worker.ctx, trial.trial_id)
    assert (view.state, view.cause, len(view.attempts)) == ("FAILED", "lost_repeatedly", 5)
    assert crud.get(worker.ctx, study_id).n_trials == 1


def test_divergence_is_a_result(worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    assert worker.report(trial, Outcome(state="INFEASIBLE", cause="diverged")).status == "accepted"
    view = trials.trial(worker.ctx, trial.trial_id)
    assert (view.state, view.cause, view.value) == ("INFEASIBLE", "diverged", None)
    assert crud.get(worker.ctx, study_id).n_trials == 1


def test_out_of_memory_is_tried_once_more_by_another_worker(
    manual_context: Context, worker: StubWorker, study_id: str
) -> None:
    other = StubWorker(manual_context)
    trial = worker.one()
    oom = Outcome(state="INFEASIBLE", cause="oom")
    worker.report(trial, oom)
    assert trial.trial_id not in {t.trial_id for t in worker.claim(100).trials}
    again = other.one()
    assert again.trial_id == trial.trial_id
    other.report(again, oom)
    assert trials.trial(manual_context, trial.trial_id).cause == "oom"


def test_a_worker_without_its_data_is_left_alone_for_a_minute(
    worker: StubWorker, manual_clock: ManualClock, study_id: str
) -> None:
    worker.report(worker.one(), Outcome(state="RELEASED", cause="data_mismatch"))
    assert worker.claim().trials == ()
    assert workers.get(worker.ctx, worker.worker_id).state == "QUARANTINED"
    manual_clock.advance(61)
    assert worker.one().attempt == 2


def test_a_lapsed_lease_gives_the_trial_to_the_next_worker(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock, study_id: str
) -> None:
    trial = worker.one()
    manual_clock.advance(59)
    assert reap(manual_context) == 0
    manual_clock.advance(2)
    assert reap(manual_context) == 1
    other = StubWorker(manual_context)
    again = other.one()
    assert (again.trial_id, again.attempt) == (trial.trial_id, 2)
    assert worker.report(trial, complete(0.9)).status == "stale_attempt"
    assert other.report(again, complete(0.8)).status == "accepted"
    view = trials.trial(manual_context, trial.trial_id)
    assert view.value == 0.8
    assert [(a.attempt, a.state, a.cause) for a in view.attempts] == [(1, "LOST", "lost"), (2, "COMPLETE", None)]


def test_a_late_result_counts_if_nobody_took_the_trial(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock, study_id: str
) -> None:
    trial = worker.one()
    worker.report(trial, epochs=(1,))
    manual_clock.advance(61)
    assert reap(manual_context) == 1
    assert worker.report(trial, complete(0.9), epochs=(2,)).status == "accepted"
    view = trials.trial(manual_context, trial.trial_id)
    assert (view.state, view.value, view.attempt) == ("COMPLETE", 0.9, 1)
    assert [m.epoch for m in trials.measurements(manual_context, trial.trial_id).items] == [1, 2]


def test_a_lapsed_lease_is_renewed_by_the_next_heartbeat(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock, study_id: str
) -> None:
    trial = worker.one()
    manual_clock.advance(61)
    assert worker.report(trial).status == "accepted"
    assert reap(manual_context) == 0


def test_a_cancelled_study_stops_its_workers(worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    steering.cancel(worker.ctx, study_id)
    result = worker.report(trial, epochs=(1,))
    assert (result.status, result.action) == ("stale_attempt", "stop")
    assert crud.get(worker.ctx, study_id).counts["CANCELLED"] == 6


def test_a_pack_is_reported_in_one_request(manual_context: Context, worker: StubWorker, study_id: str) -> None:
    first, second, third = worker.claim(3).trials
    entries = (
        TrialReport(trial_id=first.trial_id, attempt=1, outcome=complete(0.5)),
        TrialReport(trial_id=second.trial_id, attempt=9),
        TrialReport(trial_id=third.trial_id, attempt=1, measurements=(Measurement(epoch=1, metrics={"loss": 1.0}),)),
        TrialReport(trial_id="nobody", attempt=1),
        TrialReport(trial_id=third.trial_id, attempt=1),
    )
    reply = reports.report(manual_context, ADMIN, worker.worker_id, ReportRequest(reports=entries))
    assert [r.status for r in reply.results] == ["accepted", "stale_attempt", "accepted", "not_found", "invalid"]
    assert [r.action for r in reply.results] == ["stop", "stop", "continue", "stop", "continue"]


def test_a_long_traceback_is_cut_to_its_end(worker: StubWorker, study_id: str) -> None:
    trial = worker.one()
    worker.report(trial, Outcome(state="FAILED", cause="training_error", detail="x" * 100_000 + "the end"))
    detail = trials.trial(worker.ctx, trial.trial_id).detail
    assert detail is not None
    assert len(detail) == 16 * 1024
    assert detail.endswith("the end")


def test_trials_that_fell_together_are_one_failure_of_their_worker(manual_context: Context) -> None:
    crud.create(manual_context, ADMIN, definition(budget={"max_trials": 9}))
    other, packed = StubWorker(manual_context), StubWorker(manual_context)
    other.report(other.claim(1).trials[0], complete(0.5))
    fallen = tuple(
        TrialReport(trial_id=trial.trial_id, attempt=trial.attempt, outcome=CRASH) for trial in packed.claim(8).trials
    )
    assert len(fallen) == 8
    reports.report(manual_context, ADMIN, packed.worker_id, ReportRequest(reports=fallen))
    assert workers.get(manual_context, packed.worker_id).state == "ACTIVE"
    assert len(packed.claim(8).trials) == 8, "each is lost once, and the worker is none the worse"
