"""Confirmation and refit: extra trials after the search, outside the budget."""

from __future__ import annotations

from hpsearch.domain.task import TASKS
from hpsearch.service.context import Context
from hpsearch.service.queue.confirmation import mean_interval, rank_intervals
from hpsearch.service.queue.filling import fill
from hpsearch.service.results import trials
from hpsearch.service.studies import crud, steering
from hpsearch.wire.studies import ExtendRequest
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition


def test_the_top_is_trained_again_and_ranked_by_its_mean(manual_context: Context, worker: StubWorker) -> None:
    plan = definition(confirm={"top_k": 2, "seeds": 3}, refit="auto")
    study = crud.create(manual_context, ADMIN, plan)
    values = [0.6, 0.9, 0.7, 0.5, 0.8, 0.4]
    for trial, value in zip(worker.claim(6).trials, values, strict=True):
        worker.report(trial, complete(value))
    assert crud.get(manual_context, study.study_id).phase == "confirmation"
    repeats = worker.claim(10).trials
    assert [t.kind for t in repeats] == ["confirmation"] * 6
    assert len({t.seed for t in repeats}) == 6
    # The lucky winner (0.9) turns out worse than the second (0.8).
    for trial, value in zip(repeats, [0.70, 0.72, 0.74, 0.78, 0.80, 0.82], strict=True):
        worker.report(trial, complete(value))
    board = trials.leaderboard(manual_context, study.study_id).items
    assert [(row.value, row.mean and round(row.mean, 6)) for row in board[:3]] == [(0.8, 0.8), (0.9, 0.72), (0.7, None)]
    assert board[0].interval is not None
    assert board[0].interval[0] < 0.8 < board[0].interval[1]
    assert board[0].rank_interval == (1, 1)
    (refit,) = worker.claim(5).trials
    assert (refit.kind, refit.refit_epochs) == ("refit", 1)
    assert refit.params == board[0].params
    worker.report(refit, complete(0.77))
    ended = crud.get(manual_context, study.study_id)
    assert (ended.state, ended.end_reason, ended.n_trials) == ("COMPLETED", "max_trials", 6)
    assert ended.best is not None
    assert ended.best.value == 0.8


def test_an_extended_study_confirms_what_is_new_and_nothing_twice(manual_context: Context, worker: StubWorker) -> None:
    plan = definition(confirm={"top_k": 2, "seeds": 2}, refit="off", budget={"max_trials": 3})
    study = crud.create(manual_context, ADMIN, plan)
    for trial, value in zip(worker.claim(3).trials, [0.6, 0.9, 0.7], strict=True):
        worker.report(trial, complete(value))
    first = worker.claim(9).trials
    assert len(first) == 4
    for trial in first:
        worker.report(trial, complete(0.65))
    assert crud.get(manual_context, study.study_id).state == "COMPLETED"
    steering.extend(manual_context, study.study_id, ExtendRequest(max_trials=4))
    with manual_context.store.read() as tx:
        fill(manual_context, tx.studies.get(study.study_id).id)
    (better,) = worker.claim(9).trials
    worker.report(better, complete(0.95))
    second = worker.claim(9).trials
    assert [(trial.kind, trial.params) for trial in second] == [("confirmation", better.params)] * 2
    for trial in second:
        worker.report(trial, complete(0.93))
    ended = crud.get(manual_context, study.study_id)
    assert (ended.state, ended.n_trials) == ("COMPLETED", 4)
    assert ended.best is not None
    assert (ended.best.trial_id, ended.best.mean) == (better.trial_id, 0.93)


def test_both_stages_can_be_off(manual_context: Context, worker: StubWorker) -> None:
    plan = definition(confirm={"top_k": 0}, refit="off")
    assert worker.work(crud.create(manual_context, ADMIN, plan)).counts["COMPLETE"] == 6


def test_the_interval_of_a_mean_is_students() -> None:
    interval = mean_interval([13.0, 14.0, 15.0], TASKS["regression"].metrics["mae"])
    assert interval is not None
    # 14 ± 4.302653 * 1 / sqrt(3)
    assert [round(end, 5) for end in interval] == [11.51586, 16.48414]
    assert mean_interval([1.0], TASKS["regression"].metrics["mae"]) is None


def test_the_interval_of_a_mean_ends_where_the_metric_does() -> None:
    interval = mean_interval([0.97, 1.0], TASKS["multiclass"].metrics["accuracy"])
    assert interval is not None
    assert interval[1] == 1.0


def test_equal_trials_share_their_ranks() -> None:
    ranks = rank_intervals({1: [0.1, 0.2, 0.3], 2: [0.1, 0.2, 0.3], 3: [5.0, 5.1, 5.2]}, seed=0)
    assert ranks[1][0] == ranks[2][0] == 1
    assert ranks[1][1] == 2
    assert ranks[3] == (3, 3)
