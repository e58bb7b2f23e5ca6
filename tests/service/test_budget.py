"""Budgets and grids: exact, whatever is asked at the same time."""

from __future__ import annotations

import threading

import pytest

from hpsearch.clock import ManualClock
from hpsearch.domain.trial import Outcome
from hpsearch.errors import ConflictError, InvalidStudyError
from hpsearch.service.context import Context
from hpsearch.service.queue.filling import fill
from hpsearch.service.queue.progress import advance
from hpsearch.service.results import trials as results
from hpsearch.service.studies import crud, steering
from hpsearch.wire.claims import ClaimedTrial
from hpsearch.wire.studies import EnqueueRequest, ExtendRequest
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, grid, objective, open_studies


def test_a_random_study_finishes_exactly_its_budget(manual_context: Context, worker: StubWorker) -> None:
    ended = worker.work(crud.create(manual_context, ADMIN, definition(budget={"max_trials": 23}, parallelism=3)))
    assert (ended.state, ended.end_reason, ended.n_trials) == ("COMPLETED", "max_trials", 23)
    assert ended.counts["COMPLETE"] == 23
    board = results.leaderboard(manual_context, ended.study_id, limit=100).items
    assert [row.value for row in board] == sorted((objective(row.params) for row in board), reverse=True)


def test_the_same_seed_gives_the_same_points(manual_context: Context) -> None:
    points = []
    for _ in range(2):
        study = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 10}))
        page = results.trials(manual_context, study.study_id, limit=100)
        points.append([(t.params, t.seed) for t in page.items])
    assert points[0] == points[1]


def test_each_grid_point_is_tried_exactly_once(manual_context: Context, worker: StubWorker) -> None:
    ended = worker.work(crud.create(manual_context, ADMIN, grid()))
    assert (ended.state, ended.end_reason, ended.n_trials) == ("COMPLETED", "space_exhausted", 12)
    trials = results.trials(manual_context, ended.study_id, limit=100).items
    assert sorted(t.grid_index for t in trials if t.grid_index is not None) == list(range(12))
    assert len({tuple(sorted(t.params.items())) for t in trials}) == 12
    assert [t.grid_index for t in trials] != list(range(12)), "a seeded permutation, not the natural order"


def test_part_of_a_grid_ends_by_its_budget_and_can_be_extended(manual_context: Context, worker: StubWorker) -> None:
    ended = worker.work(crud.create(manual_context, ADMIN, grid(budget={"max_trials": 5})))
    assert (ended.end_reason, ended.n_trials) == ("max_trials", 5)
    with pytest.raises(InvalidStudyError, match="12 points"):
        steering.extend(manual_context, ended.study_id, ExtendRequest(max_trials=13))
    again = worker.work(steering.extend(manual_context, ended.study_id, ExtendRequest(max_trials=12)))
    assert (again.state, again.n_trials) == ("COMPLETED", 12)
    trials = results.trials(manual_context, ended.study_id, limit=100).items
    assert sorted(t.grid_index for t in trials if t.grid_index is not None) == list(range(12))


def test_eight_fillers_at_once_create_exactly_the_budget(context: Context) -> None:
    crud.create(context, ADMIN, definition(budget={"max_trials": 100}, parallelism=7))
    worker = StubWorker(context)
    (study_id,) = open_studies(context)
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(40):
                fill(context, study_id)
                for trial in worker.claim(5).trials:
                    worker.report(trial, complete(0.5))
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    with context.store.read() as tx:
        study = tx.studies.by_ids([study_id])[study_id]
    assert (study.n_search, study.n_search_finished, study.state) == (100, 100, "COMPLETED")


def test_parallelism_caps_the_open_trials(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition(parallelism=2))
    assert len(worker.claim(100).trials) == 2


def test_the_target_ends_the_search(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 50, "target": 0.8}))
    trial, other = worker.claim(2).trials
    worker.report(trial, complete(0.85))
    midway = crud.get(manual_context, study.study_id)
    assert (midway.state, midway.end_reason, midway.counts["WAITING"]) == ("RUNNING", "target_reached", 0)
    worker.report(other, complete(0.1))
    assert crud.get(manual_context, study.study_id).state == "COMPLETED"


def test_too_many_failures_end_the_study_as_failed(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 50, "max_failed": 2}))
    for trial in worker.claim(2).trials:
        worker.report(trial, Outcome(state="FAILED", cause="training_error", detail="ValueError: no"))
    ended = crud.get(manual_context, study.study_id)
    assert (ended.state, ended.end_reason, ended.counts["FAILED"]) == ("FAILED", "max_failed", 2)
    assert steering.retry_failed(manual_context, study.study_id).n_retried == 2
    again = worker.work(crud.get(manual_context, study.study_id))
    assert (again.state, again.n_trials, again.counts["FAILED"]) == ("COMPLETED", 50, 0)


def test_wall_time_ends_the_search(manual_context: Context, worker: StubWorker, manual_clock: ManualClock) -> None:
    study = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 50, "wall_time_s": 100}))
    trial = worker.one()
    manual_clock.advance(101)
    with manual_context.store.write() as tx:
        advance(tx, tx.studies.lock(open_studies(manual_context)[0]))
    worker.report(trial, complete(0.5))
    ended = crud.get(manual_context, study.study_id)
    assert (ended.state, ended.end_reason, ended.n_trials) == ("COMPLETED", "wall_time", 1)


def test_device_seconds_end_the_search(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 50, "device_seconds": 3}))
    ended = worker.work(study)
    assert (ended.end_reason, ended.n_trials, ended.budget.device_seconds) == ("device_seconds", 3, 3.0)


def test_stop_lets_running_trials_finish(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    trial = worker.one()
    assert steering.stop(manual_context, study.study_id).state == "STOPPING"
    assert worker.claim(5).trials == ()
    worker.finish(trial)
    ended = crud.get(manual_context, study.study_id)
    assert (ended.state, ended.end_reason, ended.n_trials) == ("COMPLETED", "user", 1)
    with pytest.raises(ConflictError, match="COMPLETED"):
        steering.pause(manual_context, study.study_id)


def test_a_stopped_trial_is_replaced(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    view = steering.stop_trial(manual_context, worker.one().trial_id)
    assert view.state == "CANCELLED"
    ended = worker.work(study)
    assert (ended.state, ended.n_trials, ended.counts["CANCELLED"]) == ("COMPLETED", 6, 1)


def test_a_stopped_grid_point_is_not_replaced(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, grid())
    steering.stop_trial(manual_context, worker.one().trial_id)
    ended = worker.work(study)
    assert (ended.state, ended.n_trials, ended.counts["CANCELLED"]) == ("COMPLETED", 11, 1)


def test_enqueued_points_count_and_belong_to_the_space(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition(parallelism=1))
    point = EnqueueRequest(params={"learning_rate": 0.01, "dropout": 0.0})
    trial = steering.enqueue(manual_context, ADMIN, study.study_id, point, idempotency_key="k")
    again = steering.enqueue(manual_context, ADMIN, study.study_id, point, idempotency_key="k")
    assert trial.trial_id == again.trial_id
    assert trial.params == {"layers": 1, "units": 8, "learning_rate": 0.01, "dropout": 0.0}
    with pytest.raises(InvalidStudyError, match="learning_rate"):
        steering.enqueue(
            manual_context, ADMIN, study.study_id, EnqueueRequest(params={"learning_rate": 5.0, "dropout": 0.0})
        )
    ended = worker.work(study)
    assert ended.n_trials == 6
    with pytest.raises(ConflictError):
        steering.enqueue(manual_context, ADMIN, study.study_id, point)


def test_an_enqueued_point_is_tried_next_and_takes_the_place_of_a_drawn_one(
    manual_context: Context, worker: StubWorker
) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    point = EnqueueRequest(params={"learning_rate": 0.01, "dropout": 0.0})
    trial = steering.enqueue(manual_context, ADMIN, study.study_id, point)
    assert worker.one().trial_id == trial.trial_id
    worker.report(ClaimedTrial.model_construct(**{**vars(trial), "attempt": 1}), complete(1.0))
    ended = worker.work(study)
    assert (ended.n_trials, ended.counts["COMPLETE"], ended.counts["CANCELLED"]) == (6, 6, 1)


def test_an_enqueued_grid_point_leaves_the_order_early(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, grid(parallelism=1))
    taken = results.trials(manual_context, study.study_id, limit=10).items[0]
    point = {"layers": 2, "learning_rate": 0.01, "dropout": 0.5}
    if taken.params == {**point, "units": 8}:
        point["dropout"] = 0.0
    trial = steering.enqueue(manual_context, ADMIN, study.study_id, EnqueueRequest(params=point))
    again = steering.enqueue(manual_context, ADMIN, study.study_id, EnqueueRequest(params=point))
    assert trial.trial_id == again.trial_id
    first = worker.one()
    assert first.trial_id == trial.trial_id
    with pytest.raises(ConflictError, match="has begun"):
        steering.enqueue(manual_context, ADMIN, study.study_id, EnqueueRequest(params=point))
    worker.finish(first)
    ended = worker.work(study)
    trials = results.trials(manual_context, ended.study_id, limit=100).items
    assert sorted(t.grid_index for t in trials if t.grid_index is not None) == list(range(12))
    assert trial.grid_index in {t.grid_index for t in trials}


def test_baselines_run_first_and_outside_the_budget(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition(baselines=True))
    assert [t.kind for t in worker.claim(2, claim_id="c").trials] == ["baseline", "baseline"]
    for trial in worker.claim(2, claim_id="c").trials:
        worker.finish(trial)
    ended = worker.work(study)
    assert (ended.n_trials, ended.counts["COMPLETE"]) == (6, 8)
    board = results.leaderboard(manual_context, study.study_id).items
    assert sorted(row.kind for row in board) == ["baseline"] * 2 + ["search"] * 6


def test_a_bayesian_study_is_filled_by_the_sampler_and_ends_exactly(context: Context) -> None:
    worker = StubWorker(context)
    plan = definition(algorithm={"kind": "bayesian", "seed": 0}, budget={"max_trials": 14})
    ended = worker.work(crud.create(context, ADMIN, plan))
    assert (ended.state, ended.n_trials) == ("COMPLETED", 14)
