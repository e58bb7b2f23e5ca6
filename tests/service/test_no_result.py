"""A search that no trial brought a result to is no success, whatever limit ended it."""

from __future__ import annotations

import pytest

from hpsearch.clock import ManualClock
from hpsearch.domain.trial import Outcome
from hpsearch.service.context import Context
from hpsearch.service.queue.progress import advance
from hpsearch.service.results import events
from hpsearch.service.studies import crud, steering
from hpsearch.wire.pages import StudyView
from hpsearch.wire.studies import ExtendRequest
from tests.invariants import invariants
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, grid, open_studies

ERROR = Outcome(state="FAILED", cause="training_error", detail="Traceback\n  …\nValueError: no such layer")
DIVERGED = Outcome(state="INFEASIBLE", cause="diverged", detail="loss is nan at epoch 1")


def ending(view: StudyView) -> tuple[str, str | None, str]:
    return view.state, view.end_reason, view.phase


def test_a_study_whose_trials_all_failed_says_which_to_look_at_and_is_mended_by_a_retry(worker: StubWorker) -> None:
    study_id = crud.create(worker.ctx, ADMIN, definition(name="my study", budget={"max_trials": 4})).study_id
    for trial in worker.claim(4).trials:
        worker.report(trial, DIVERGED if trial.number == 0 else ERROR)
    ended = crud.get(worker.ctx, study_id)
    assert ending(ended) == ("FAILED", "no_result", "ended")
    assert ended.note_to_user == (
        "no trial came to a result: 3 failed, 1 diverged or did not fit into memory; `hpsearch trial 'my study'#1` "
        "shows why trial 1 did (training_error: ValueError: no such layer), and `hpsearch retry-failed 'my study'` "
        "tries them again once that is mended"
    )
    assert "study.failed" in {event.kind for event in events.since(worker.ctx, study_id, after=None)}
    assert invariants.check(worker.ctx.store) == []

    assert steering.retry_failed(worker.ctx, study_id).n_retried == 3
    again = worker.work(crud.get(worker.ctx, study_id))
    assert ending(again) == ("COMPLETED", "max_trials", "ended")
    assert again.note_to_user is None
    assert invariants.check(worker.ctx.store) == []


def test_a_grid_that_only_diverged_has_no_result_until_it_is_extended(worker: StubWorker) -> None:
    study_id = crud.create(worker.ctx, ADMIN, grid(budget={"max_trials": 2})).study_id
    for trial in worker.claim(2).trials:
        worker.report(trial, DIVERGED)
    ended = crud.get(worker.ctx, study_id)
    assert ending(ended) == ("FAILED", "no_result", "ended")
    assert "shows the first (diverged: loss is nan at epoch 1): search lower" in (ended.note_to_user or "")
    assert steering.retry_failed(worker.ctx, study_id).n_retried == 0, "a divergence is never tried again"
    again = worker.work(steering.extend(worker.ctx, study_id, ExtendRequest(max_trials=3)))
    assert ending(again) == ("COMPLETED", "max_trials", "ended")


def test_a_baseline_is_no_result_of_the_search(worker: StubWorker) -> None:
    plan = definition(budget={"max_trials": 1}, baselines=True, confirm={"top_k": 1, "seeds": 2}, refit="auto")
    study_id = crud.create(worker.ctx, ADMIN, plan).study_id
    for trial in worker.claim(9).trials:
        worker.report(trial, complete(0.7) if trial.kind == "baseline" else ERROR)
    assert worker.claim(9).trials == (), "nothing is confirmed or refitted"
    ended = crud.get(worker.ctx, study_id)
    assert ending(ended) == ("FAILED", "no_result", "ended")
    assert ended.best is not None
    assert ended.best.kind == "baseline"
    assert (ended.note_to_user or "").startswith("only a baseline came to a result: 1 failed; ")
    assert invariants.check(worker.ctx.store) == []


@pytest.mark.parametrize("running", [False, True])
def test_a_time_that_is_up_before_the_first_result_is_no_success(
    worker: StubWorker, manual_clock: ManualClock, running: bool
) -> None:
    study_id = crud.create(worker.ctx, ADMIN, definition(budget={"wall_time_s": 100})).study_id
    trial = worker.one() if running else None
    manual_clock.advance(101)
    with worker.ctx.store.write() as tx:
        advance(tx, tx.studies.lock(open_studies(worker.ctx)[0]))
    if trial is not None:
        assert crud.get(worker.ctx, study_id).end_reason == "wall_time", "what runs may still come to a result"
        worker.report(trial, ERROR)
    ended = crud.get(worker.ctx, study_id)
    assert ending(ended) == ("FAILED", "no_result", "ended")
    assert ("retry-failed" if running else "workers list") in (ended.note_to_user or "")
    assert invariants.check(worker.ctx.store) == []


def test_who_stops_a_study_is_not_told_that_it_failed(manual_context: Context) -> None:
    study_id = crud.create(manual_context, ADMIN, definition()).study_id
    assert ending(steering.stop(manual_context, study_id)) == ("COMPLETED", "user", "ended")
