"""Cross-validation and the final refit."""

from __future__ import annotations

from statistics import fmean, pstdev
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from hpsearch.data.split import split_rows
from hpsearch.data.table import read_table
from hpsearch.domain.selection import Selection
from hpsearch.domain.study import Split
from hpsearch.model_card import read_card
from tests.workers.training.memory import Builtin, Memory, Run

PARAMS = {"layers": 1, "units": 12, "learning_rate": 0.1, "batch_size": 8, "dropout": 0.1}
FOLDS = Split(folds=3)


@pytest.fixture(scope="module")
def crossed(engine: Any, builtin: Builtin, tmp_path_factory: pytest.TempPathFactory):
    """One cross-validated trial with its model, looked at from several sides."""
    from hpsearch.domain.lifecycle import TrialKind
    from hpsearch.domain.training import Training
    from hpsearch.wire.claims import ClaimedTrial, StudyBrief
    from workers.training.engine.task import TrialTask

    data = builtin("iris")
    trial = ClaimedTrial(trial_id="t", study_id="s", number=0, kind=TrialKind.SEARCH, attempt=1, params=PARAMS, seed=3)
    brief = StudyBrief(
        study_id="s",
        name="s",
        dataset_id="d",
        dataset_digest=data.digest,
        task="multiclass",
        split=FOLDS,
        metric="loss",
        direction="minimize",
        training=Training(max_epochs=9, early_stopping={"patience": 2}),
        data_order_seed=0,
    )
    memory = Memory()
    path = tmp_path_factory.mktemp("crossed") / "m.keras"
    engine.train([TrialTask(trial, brief, data.content, data.profile, path)], memory)
    return memory


def folds_of(memory: Memory):
    folds = {}
    for measurement in memory.measurements:
        folds.setdefault(measurement.metrics["fold"], []).append(measurement.metrics)
    return folds


def test_folds_are_trained_one_after_another_and_epochs_run_on(crossed: Memory):
    assert [measurement.epoch for measurement in crossed.measurements] == list(range(1, len(crossed.measurements) + 1))
    assert list(folds_of(crossed)) == [1.0, 2.0, 3.0]
    assert crossed.outcome.epochs == len(crossed.measurements) <= 27


def test_each_fold_stops_by_itself_and_the_value_is_the_mean_of_the_bests(crossed: Memory):
    bests = []
    for curve in folds_of(crossed).values():
        losses = [metrics["loss"] for metrics in curve]
        best = int(np.argmin(losses))
        assert len(losses) == min(9, best + 1 + 2)
        bests.append((best + 1, curve[best]))
    outcome = crossed.outcome
    assert outcome.value == pytest.approx(fmean(metrics["loss"] for _, metrics in bests))
    for name in ("loss", "accuracy", "train_loss"):
        values = [metrics[name] for _, metrics in bests]
        assert outcome.metrics[name] == pytest.approx(fmean(values))
        assert outcome.metrics[f"{name}_std"] == pytest.approx(pstdev(values))
    assert outcome.stop_reason == "early_stopping"
    epochs = [epoch for epoch, _ in bests]
    assert len(set(epochs)) > 1
    assert outcome.best_epoch == round(fmean(epochs))


def test_folds_start_from_different_weights(run: Run, builtin: Builtin, monkeypatch: pytest.MonkeyPatch):
    from workers.training.keras_networks.network import build_network

    seeds: list[int] = []

    def noted(*args: Any, seed: int, **rest: Any) -> Any:
        seeds.append(seed)
        return build_network(*args, seed=seed, **rest)

    monkeypatch.setattr("workers.training.reference.fit.build_network", noted)
    for _ in range(2):
        run(builtin("iris"), PARAMS, epochs=1, split=FOLDS, seed=3)
    assert len(set(seeds)) == 3
    assert seeds[:3] == seeds[3:]
    # The first fold is seeded as a hold-out split is.
    assert seeds[0] == 3


def test_the_model_of_a_cross_validated_trial_is_trained_on_all_rows_but_the_test_rows(
    crossed: Memory, builtin: Builtin
):
    card = read_card(crossed.models[0])
    data = builtin("iris")
    table = read_table(data.content, data.profile, data.digest)
    rows = split_rows(table, "multiclass", FOLDS)
    assert card.n_training_rows == len(rows.development) == 120
    assert card.best_epoch == crossed.outcome.best_epoch
    assert card.value == crossed.outcome.value
    assert str(crossed.outcome.best_epoch) in card.trained_on
    assert "mean" in card.judged_on


def test_its_model_predicts_well(crossed: Memory, builtin: Builtin):
    import polars as pl

    from workers.training.model_files.predict import predict

    frame = pl.read_parquet(builtin("iris").content)
    said = [prediction.value for prediction in predict(crossed.models[0], frame)]
    assert np.mean(np.array(said) == frame["species"].to_numpy()) > 0.85


def test_a_stop_between_folds_reports_nothing(run: Run, builtin: Builtin):
    memory = run(builtin("iris"), PARAMS, epochs=3, split=FOLDS, sink=Memory(stop_after=5))
    assert len(memory.measurements) == 5
    assert memory.outcomes == []


def test_a_refit_trains_on_training_and_validation_rows_and_opens_the_test_rows_once(run: Run, builtin: Builtin):
    import keras

    from workers.training.model_files.outputs import predict_raw

    data = builtin("wine")
    selection = Selection(chosen=3, chosen_at=0.01, n_validation=36, mean=0.02, n_seeds=5, interval=(0.01, 0.03))
    refit = {"kind": "refit", "refit_epochs": 7, "selection": selection}
    memory = run(data, PARAMS, metric="loss", epochs=3, model=True, **refit)
    outcome = memory.outcome
    assert outcome.state == "COMPLETE"
    assert (outcome.epochs, outcome.best_epoch, outcome.stop_reason) == (7, 7, "max_epochs")
    assert {name for metrics in memory.measurements for name in metrics.metrics} == {"train_loss", "learning_rate"}
    assert outcome.value == outcome.metrics["test_loss"]
    assert "loss" not in outcome.metrics
    table = read_table(data.content, data.profile, data.digest)
    rows = split_rows(table, "multiclass", Split())
    card = read_card(memory.models[0])
    assert card.n_training_rows == len(rows.development) == len(rows.folds[0].train) + len(rows.folds[0].validation)
    matrix = np.stack([table.columns[column.name][rows.test] for column in card.columns], axis=1)
    p = predict_raw(keras.models.load_model(memory.models[0]), matrix.astype(np.float32))
    assert reference.log_loss(table.target[rows.test], p) == pytest.approx(outcome.value, abs=1e-5)
    assert reference.accuracy_score(table.target[rows.test], p.argmax(axis=1)) == outcome.metrics["test_accuracy"]
    assert (card.judged_on, card.n_judged_rows) == ("the test rows", len(rows.test))
    assert card.selection == selection


def test_a_refit_lowers_the_learning_rate_by_the_training_loss(run: Run, builtin: Builtin):
    params = {**PARAMS, "learning_rate": 1e-9, "lr_decay_factor": 0.5, "lr_decay_patience": 1}
    memory = run(builtin("wine"), params, kind="refit", refit_epochs=4, lr_decay={"floor": 0.0})
    rates = memory.curve("learning_rate")
    assert rates[0] == pytest.approx(1e-9)
    assert rates[-1] < rates[0]


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ({"refit_epochs": None}, "needs the number of epochs"),
        ({"refit_epochs": 3, "split": Split(test=0.0)}, "the study has none"),
    ],
)
def test_a_refit_that_can_not_be_done_says_why(run: Run, builtin: Builtin, rest: dict[str, Any], sentence: str):
    outcome = run(builtin("iris"), PARAMS, kind="refit", **rest).outcome
    assert (outcome.state, outcome.cause) == ("FAILED", "training_error")
    assert sentence in outcome.detail
