"""The benchmarks' invented history is one that the service could have made, and work goes on after it."""

from __future__ import annotations

import pytest

from benchmarks.filling import make_history, new_study
from hpsearch.service.context import Context
from hpsearch.service.results import trials
from hpsearch.service.studies import crud
from tests.invariants import invariants
from tests.service.fleet_stub import StubWorker, complete


def test_an_invented_history_is_one_that_could_have_happened(context: Context) -> None:
    study_id = new_study(context, parallelism=8, budget={"max_trials": 60})
    make_history(context, study_id, 30, n_epochs=7)
    make_history(context, study_id, 15, n_epochs=7)
    assert invariants.check(context.store) == []
    view = crud.get(context, study_id)
    assert (view.n_trials, view.counts["COMPLETE"], view.counts["WAITING"]) == (45, 45, 8)
    board = trials.leaderboard(context, study_id)
    assert [row.rank for row in board.items] == list(range(1, 46))
    assert view.best is not None
    assert view.best.value == board.items[0].value == max(row.value for row in board.items)
    curve = trials.measurements(context, board.items[0].trial_id).items
    assert [point.epoch for point in curve] == list(range(1, 8))
    assert curve[-1].metrics["accuracy"] == board.items[0].value
    worker = StubWorker(context)
    assert worker.report(worker.one(), complete(0.999)).status == "accepted"
    assert trials.leaderboard(context, study_id, limit=1).items[0].value == 0.999
    assert invariants.check(context.store) == []
    with pytest.raises(ValueError, match="room for 7 trials"):
        make_history(context, study_id, 8)
