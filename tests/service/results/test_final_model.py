"""The final model: which trial's it is, the figure to believe, and what it is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpsearch.domain.trial import Outcome
from hpsearch.service.context import Context
from hpsearch.service.queue.filling import fill
from hpsearch.service.results import models, trials
from hpsearch.service.results.final_model import accuracy_interval
from hpsearch.service.studies import crud, steering
from hpsearch.wire.claims import ClaimedTrial
from hpsearch.wire.final_model import FinalModel
from hpsearch.wire.pages import StudyView
from hpsearch.wire.studies import ExtendRequest
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, open_studies


def _end(worker: StubWorker, trial: ClaimedTrial, value: float) -> None:
    path: Path = worker.ctx.content.new_temporary()
    path.write_bytes(f"{trial.kind} {trial.number}".encode())
    models.put(worker.ctx, worker.caller, worker.worker_id, trial.trial_id, trial.attempt, path)
    metrics = {"test_accuracy": value} if trial.kind == "refit" else {"accuracy": value}
    worker.report(trial, Outcome(state="COMPLETE", value=value, metrics=metrics, best_epoch=1, epochs=1))


def _finish(worker: StubWorker, *values: float) -> None:
    for value in values:
        for study_id in open_studies(worker.ctx):
            fill(worker.ctx, study_id)
        _end(worker, worker.one(), value)


def _start(ctx: Context, **changes: Any) -> StudyView:
    return crud.create(ctx, ADMIN, definition(**{"budget": {"max_trials": 2}, **changes}))


def _final(ctx: Context, study: StudyView) -> FinalModel:
    final = crud.get(ctx, study.study_id).final
    assert final is not None
    return final


def test_a_refit_is_believed_by_its_test_rows(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context, refit="auto", confirm={"top_k": 1, "seeds": 2})
    _finish(worker, 0.8, 0.9, 0.86, 0.84)
    assert crud.get(manual_context, study.study_id).final is None
    refit = worker.one()
    assert refit.selection is not None
    assert refit.selection.model_dump(exclude={"interval"}) == {
        "chosen": 1,
        "chosen_at": 0.9,
        "n_validation": 30,
        "mean": pytest.approx(0.85),
        "n_seeds": 2,
    }
    _end(worker, refit, 0.87)
    final = _final(manual_context, study)
    assert (final.kind, final.number, final.chosen) == ("refit", refit.number, 1)
    assert (final.value, final.believe, final.test, final.n_test, final.chosen_at) == (0.87, "test", 0.87, 30, 0.9)
    assert final.mean == pytest.approx(0.85)
    assert final.optimism == pytest.approx(0.03)
    assert final.test_interval == accuracy_interval(0.87, 30)
    # The same figures went into the file's card, and the file is the refit's.
    assert refit.selection.interval == final.interval
    assert models.of_study(manual_context, study.study_id).path.read_bytes() == f"refit {refit.number}".encode()


def test_without_a_refit_the_mean_over_seeds_is_believed(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context, confirm={"top_k": 1, "seeds": 2})
    _finish(worker, 0.8, 0.9, 0.86, 0.84)
    final = _final(manual_context, study)
    assert (final.kind, final.chosen, final.believe) == ("search", 1, "mean")
    assert final.value == pytest.approx(0.85)
    assert final.optimism == pytest.approx(0.05)
    assert final.test is None


def test_with_neither_only_the_value_it_was_chosen_at_is_known(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context)
    _finish(worker, 0.8, 0.9)
    final = _final(manual_context, study)
    assert (final.value, final.believe, final.optimism, final.n_validation) == (0.9, "chosen_at", None, 30)


def test_a_study_without_test_rows_has_no_refit(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context, refit="auto", split={"test": 0.0})
    _finish(worker, 0.8, 0.9)
    final = _final(manual_context, study)
    assert (final.kind, final.believe, final.n_test) == ("search", "chosen_at", 0)


def test_a_study_without_a_model_has_no_final_model(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context)
    for value in (0.8, 0.9):
        worker.report(worker.one(), complete(value))
    ended = crud.get(manual_context, study.study_id)
    assert (ended.state, ended.final) == ("COMPLETED", None)
    assert ended.best is not None


def test_a_baseline_that_wins_is_named_and_its_model_kept(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context, baselines=True, confirm={"top_k": 1, "seeds": 1})
    # The default network beats what the confirmed winner is on average, though not the value it was chosen at.
    _finish(worker, 0.7, 0.88, 0.8, 0.9, 0.85)
    models.drop_beaten(manual_context, 1)
    final = _final(manual_context, study)
    assert [(one.name, one.value) for one in final.baselines] == [("default network", 0.88), ("linear model", 0.7)]
    assert final.beaten_by_baseline == final.baselines[0]
    for one in final.baselines:
        assert one.has_model
        assert models.of_trial(manual_context, one.trial_id).path.read_bytes() == f"baseline {one.number}".encode()


def test_a_baseline_at_the_top_is_the_final_model(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context, baselines=True)
    _finish(worker, 0.95, 0.88, 0.8, 0.9)
    final = _final(manual_context, study)
    assert (final.kind, final.chosen_at) == ("baseline", 0.95)
    assert final.beaten_by_baseline == final.baselines[0]


def test_a_beaten_baseline_is_only_listed(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context, baselines=True)
    _finish(worker, 0.7, 0.88, 0.8, 0.9)
    assert _final(manual_context, study).beaten_by_baseline is None


def test_an_extended_study_hands_out_the_refit_of_its_new_best(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context, refit="auto")
    _finish(worker, 0.8, 0.9, 0.87)
    steering.extend(manual_context, study.study_id, ExtendRequest(max_trials=3))
    assert crud.get(manual_context, study.study_id).final is None
    _finish(worker, 0.95, 0.91)
    final = _final(manual_context, study)
    assert (final.chosen_at, final.value) == (0.95, 0.91)
    assert models.of_study(manual_context, study.study_id).path.read_bytes() == f"refit {final.number}".encode()


def test_test_rows_are_not_opened_twice_for_one_winner(manual_context: Context, worker: StubWorker) -> None:
    study = _start(manual_context, refit="auto")
    _finish(worker, 0.8, 0.9, 0.87)
    steering.extend(manual_context, study.study_id, ExtendRequest(max_trials=3))
    _finish(worker, 0.85)
    assert _final(manual_context, study).value == 0.87
    refits = trials.trials(manual_context, study.study_id, limit=10, kinds=("refit",)).items
    assert len(refits) == 1


def test_the_interval_of_an_accuracy_is_wilsons() -> None:
    # Newcombe (1998), Two-sided confidence intervals for the single proportion, table I: 81 of 263 and 0 of 20.
    low, high = accuracy_interval(81 / 263, 263) or (0.0, 0.0)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = accuracy_interval(0.0, 20) or (0.0, 0.0)
    assert (round(low, 4), round(high, 4)) == (0.0, 0.1611)
    assert accuracy_interval(0.9, 0) is None
