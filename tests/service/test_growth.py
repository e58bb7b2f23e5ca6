"""What is done while others wait for the write transaction grows no faster than what was asked for."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import pytest

from hpsearch.domain.trial import Outcome
from hpsearch.service.context import Context
from hpsearch.service.queue import confirmation, reports
from hpsearch.service.studies import crud, steering
from hpsearch.wire.reports import ReportRequest, TrialReport
from hpsearch.wire.studies import EnqueueRequest
from tests.invariants import invariants
from tests.service.fleet_stub import ADMIN, StubWorker, definition
from tests.service.statements import statements_run

ERROR = Outcome(state="FAILED", cause="training_error")


def _failed(worker: StubWorker, n: int) -> str:
    budget = {"max_trials": n, "max_failed": n + 1}
    study_id = crud.create(worker.ctx, ADMIN, definition(budget=budget, space={"units": 8})).study_id
    lost = tuple(
        TrialReport(trial_id=trial.trial_id, attempt=trial.attempt, outcome=ERROR) for trial in worker.claim(n).trials
    )
    assert len(lost) == n
    reports.report(worker.ctx, ADMIN, worker.worker_id, ReportRequest(reports=lost))
    return study_id


def test_retrying_many_costs_as_many_statements_as_retrying_few(worker: StubWorker) -> None:
    counted = []
    for n in (3, 60):
        study_id = _failed(worker, n)
        with statements_run() as statements:
            assert steering.retry_failed(worker.ctx, study_id).n_retried == n
        counted.append(len(statements))
        assert {trial.attempt for trial in worker.claim(n).trials} == {2}
    assert counted[0] == counted[1]
    assert invariants.check(worker.ctx.store) == []


class _Counted(str):
    """An id that notes how often it is compared."""

    __slots__ = ()
    n = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        _Counted.n += 1
        return str.__eq__(self, other)


def test_reports_of_one_request_are_not_compared_with_each_other(worker: StubWorker) -> None:
    crud.create(worker.ctx, ADMIN, definition(budget={"max_trials": 100}))
    trials = worker.claim(100).trials
    assert len(trials) == 100
    entries: Any = tuple(
        TrialReport.model_construct(
            trial_id=_Counted(trial.trial_id), attempt=trial.attempt, measurements=(), outcome=None
        )
        for trial in trials
    )
    _Counted.n = 0
    request = ReportRequest.model_construct(reports=entries, progress=None)
    reply = reports.report(worker.ctx, ADMIN, worker.worker_id, request)
    assert {result.status for result in reply.results} == {"accepted"}
    assert _Counted.n <= 10 * len(trials), "half a million comparisons for a full request, while the writer is held"


def test_an_enqueued_point_looks_at_one_waiting_trial(manual_context: Context) -> None:
    """Each of many points that take the place of drawn ones would otherwise read all that wait."""
    study_id = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 80})).study_id
    point = EnqueueRequest(params={"learning_rate": 0.01, "dropout": 0.1})
    with statements_run() as statements:
        steering.enqueue(manual_context, ADMIN, study_id, point)
    taking = [one for one in statements if "trial.attempt = " in one and "SELECT" in one]
    assert len(taking) == 1
    assert "LIMIT" in taking[0]


class _Mean(float):
    """A mean that notes how often it is compared."""

    n = 0

    def __lt__(self, other: float) -> bool:
        _Mean.n += 1
        return float.__lt__(self, other)


def test_ranks_over_seeds_are_found_without_comparing_all_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {entry: [entry % 7 + 0.1 * seed for seed in range(3)] for entry in range(60)}
    monkeypatch.setattr(confirmation, "fmean", lambda values: _Mean(fmean(values)))
    monkeypatch.setattr(confirmation, "_RESAMPLES", 40)
    _Mean.n = 0
    confirmation.rank_intervals(scores, seed=0)
    # 40 times 60 entries, each compared with a share of the others that grows with the logarithm.
    assert _Mean.n <= 40 * 60 * 16
