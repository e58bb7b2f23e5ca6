"""Whole trials by the reference engine: their curves, when they stop, how they fail."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.trial import MAX_DETAIL_CHARACTERS
from tests.workers.training.memory import Builtin, MakeTask, Memory, Run, Store, Stored

SMALL = {"layers": 1, "units": 16, "learning_rate": 0.01, "batch_size": 16}


def test_the_curve_is_that_of_the_formulas(linear: Stored, make_task: MakeTask, exact_engine: Any):
    """A linear model trained by hand: order of rows, preparation, loss, penalty and metrics, all at once."""
    from hpsearch.data.split import split_rows
    from hpsearch.data.table import read_table
    from workers.training.engine.initial import initial_kernels
    from workers.training.engine.seeds import data_order

    rate, decay, batch, seed = 0.03125, 2.0**-6, 32, 4
    params = {"layers": 0, "optimizer": "sgd", "learning_rate": rate, "weight_decay": decay, "batch_size": batch}
    memory = Memory()
    exact_engine.train([make_task(linear, params, epochs=3, seed=seed, data_order_seed=9)], memory)

    table = read_table(linear.content, linear.profile, linear.digest)
    rows = split_rows(table, "regression", make_task(linear, params).study.split).folds[0]
    columns = np.stack([table.columns[name].astype(np.float32).astype(np.float64) for name in "abc"], axis=1)
    mean, std = columns[rows.train].mean(axis=0), columns[rows.train].std(axis=0)
    inputs = ((columns - mean) / std).astype(np.float32).astype(np.float64)
    y_mean, y_std = table.target[rows.train].mean(), table.target[rows.train].std()
    targets = ((table.target - y_mean) / y_std)[:, None]
    (kernel,) = initial_kernels(MlpConfig.from_params(params), n_inputs=3, n_outputs=1, seed=seed, dtype="float64")
    bias = np.zeros(1)
    for epoch in (1, 2, 3):
        order = rows.train[data_order(seed, 9, fold=0, epoch=epoch, n_rows=len(rows.train))]
        losses = []
        for start in range(0, len(order), batch):
            x, y = inputs[order[start : start + batch]], targets[order[start : start + batch]]
            error = x @ kernel + bias - y
            losses += [float((error**2).mean() + decay * (kernel**2).sum())] * len(x)
            kernel = kernel - rate * (2 * x.T @ error / len(x) + 2 * decay * kernel)
            bias = bias - rate * 2 * error.mean(axis=0)
        metrics = memory.measurements[epoch - 1].metrics
        error = inputs[rows.validation] @ kernel + bias - targets[rows.validation]
        assert metrics["loss"] == pytest.approx((error**2).mean(), rel=1e-10)
        assert metrics["mse"] == pytest.approx((error**2).mean() * y_std**2, rel=1e-10)
        assert metrics["train_loss"] == pytest.approx(np.mean(losses), rel=1e-6)
        assert metrics["learning_rate"] == rate


@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [("digits", "accuracy", 0.93), ("breast_cancer", "roc_auc", 0.97), ("diabetes", "r2", 0.25)],
)
def test_the_three_tasks_reach_what_they_should(run: Run, builtin: Builtin, name: str, metric: str, least: float):
    params = {
        "layers": 2,
        "units": 32,
        "learning_rate": 0.005,
        "optimizer": "adamw",
        "dropout": 0.1,
        "weight_decay": 0.01,
    }
    memory = run(builtin(name), params, metric=metric, epochs=8)
    assert memory.outcome.state == "COMPLETE"
    assert memory.outcome.value is not None
    assert least < memory.outcome.value <= 1.0
    assert memory.outcome.epochs == len(memory.measurements) == 8
    assert memory.outcome.device_seconds > 0
    losses = memory.curve("train_loss")
    assert losses[-1] < losses[0]


def test_the_first_loss_is_near_chance(run: Run, builtin: Builtin):
    memory = run(builtin("digits"), {"layers": 0, "learning_rate": 1e-9, "init": "glorot_uniform"}, epochs=1)
    # ln 10 is a guess; standardised pixels under random weights spread the logits, which costs a little more.
    assert 2.2 < memory.curve("loss")[0] < 3.5


def test_every_metric_of_the_task_is_measured_each_epoch(run: Run, builtin: Builtin):
    from hpsearch.domain.task import TASKS

    for name in ("iris", "breast_cancer", "diabetes"):
        memory = run(builtin(name), SMALL, epochs=2)
        wanted = {*TASKS[builtin(name).profile.task].metrics, "train_loss", "learning_rate"}
        assert [set(measurement.metrics) for measurement in memory.measurements] == [wanted, wanted]
        assert [measurement.epoch for measurement in memory.measurements] == [1, 2]


def curves(memory: Memory):
    return [measurement.metrics for measurement in memory.measurements]


def test_a_trial_gives_the_same_curve_whatever_was_trained_before(run: Run, builtin: Builtin, linear: Stored):
    params = {
        **SMALL,
        "dropout": 0.3,
        "input_dropout": 0.1,
        "batch_norm": True,
        "optimizer": "adamw",
        "weight_decay": 0.01,
    }
    first = run(builtin("iris"), params, seed=5)
    run(linear, {"layers": 2, "units": 9, "dropout": 0.5}, seed=5)
    again = run(builtin("iris"), params, seed=5)
    assert curves(again) == curves(first)
    assert again.outcome.value == first.outcome.value


def test_another_seed_or_order_gives_another_curve(run: Run, builtin: Builtin):
    first = run(builtin("iris"), SMALL, seed=5)
    assert curves(run(builtin("iris"), SMALL, seed=6)) != curves(first)
    assert curves(run(builtin("iris"), SMALL, seed=5, data_order_seed=1)) != curves(first)


def test_early_stopping_ends_at_the_best_epoch_plus_patience(run: Run, mixed: Stored):
    patience = 3
    params = {**SMALL, "units": 64, "learning_rate": 0.05, "batch_size": 8, "optimizer": "adam"}
    rule = {"patience": patience, "min_delta": 0.001}
    memory = run(mixed, params, metric="loss", epochs=60, early_stopping=rule)
    outcome, curve = memory.outcome, memory.curve("loss")
    best, best_epoch, waited = float("inf"), 0, 0
    for epoch, value in enumerate(curve, start=1):
        waited += 1
        if value < best - 0.001:
            best, best_epoch, waited = value, epoch, 0
        assert waited < patience or epoch == len(curve)
    assert waited == patience
    assert outcome.stop_reason == "early_stopping"
    assert (outcome.epochs, outcome.best_epoch) == (len(curve), best_epoch)
    assert outcome.epochs == best_epoch + patience < 60
    assert outcome.value == best == outcome.metrics["loss"]
    assert curve[-1] > best


def test_without_early_stopping_all_epochs_are_trained_and_the_best_are_kept(run: Run, builtin: Builtin):
    params = {**SMALL, "learning_rate": 0.1, "batch_size": 8}
    memory = run(builtin("iris"), params, metric="loss", epochs=12)
    curve = memory.curve("loss")
    assert len(curve) == 12
    assert memory.outcome.stop_reason == "max_epochs"
    assert memory.outcome.best_epoch == int(np.argmin(curve)) + 1 < 12
    assert memory.outcome.value == min(curve)


def test_the_objective_stops_and_its_direction_counts(run: Run, builtin: Builtin):
    memory = run(builtin("iris"), SMALL, metric="accuracy", epochs=40, early_stopping={"patience": 2})
    curve = memory.curve("accuracy")
    assert memory.outcome.value == max(curve)
    assert memory.outcome.best_epoch == int(np.argmax(curve)) + 1
    assert len(curve) == memory.outcome.best_epoch + 2


def test_the_trials_own_patience_replaces_the_studys(run: Run, builtin: Builtin):
    params = {**SMALL, "learning_rate": 1e-9, "early_stopping_patience": 4}
    memory = run(builtin("iris"), params, metric="accuracy", epochs=20, early_stopping={"patience": 2})
    assert memory.outcome.epochs == memory.outcome.best_epoch + 4


def test_the_learning_rate_falls_when_the_validation_loss_stalls(run: Run, builtin: Builtin):
    params = {**SMALL, "learning_rate": 0.5, "optimizer": "sgd", "batch_size": 8}
    decay = {"factor": 0.5, "patience": 2, "floor": 0.05}
    memory = run(builtin("iris"), params, epochs=25, lr_decay=decay)
    best, waited, rate = float("inf"), 0, 0.5
    for loss, measured in zip(memory.curve("loss"), memory.curve("learning_rate"), strict=True):
        assert measured == pytest.approx(rate, rel=1e-6)
        waited += 1
        if loss < best - 1e-4:
            best, waited = loss, 0
        if waited >= 2 and rate > 0.05:
            rate, waited = max(rate * 0.5, 0.05), 0
    assert memory.curve("learning_rate")[-1] == pytest.approx(0.05, rel=1e-6)


def test_a_diverging_trial_is_infeasible_at_once(run: Run, linear: Stored):
    params = {"layers": 1, "units": 16, "optimizer": "sgd", "learning_rate": 1e3, "activation": "relu"}
    memory = run(linear, params, epochs=50, model=True)
    outcome = memory.outcome
    assert (outcome.state, outcome.cause, outcome.value) == ("INFEASIBLE", "diverged", None)
    assert outcome.epochs == len(memory.measurements) < 10
    assert memory.measurements[-1].metrics["train_loss"] is None
    assert "epoch" in outcome.detail
    assert memory.models == [None]


def test_a_diverged_trial_leaves_the_next_one_alone(engine: Any, make_task: MakeTask, linear: Stored, builtin: Builtin):
    alone, after = Memory(), Memory()
    good = make_task(builtin("iris"), SMALL)
    engine.train([good], alone)
    engine.train([make_task(linear, {"optimizer": "sgd", "learning_rate": 1e3}), good], after)
    assert [outcome.state for outcome in after.outcomes] == ["INFEASIBLE", "COMPLETE"]
    assert after.outcomes[1].value == alone.outcome.value


def test_nothing_is_reported_of_a_trial_that_is_to_stop(run: Run, builtin: Builtin):
    memory = run(builtin("iris"), SMALL, epochs=50, sink=Memory(stop_after=2))
    assert len(memory.measurements) == 2
    assert memory.outcomes == []


def test_batches_larger_than_the_data_and_of_one_row_work(run: Run, builtin: Builtin):
    for batch_size in (1, 10_000):
        memory = run(builtin("iris"), {**SMALL, "batch_size": batch_size, "batch_norm": True}, epochs=2)
        assert memory.outcome.state == "COMPLETE"


@pytest.mark.parametrize("kind", ["baseline", "confirmation"])
def test_baselines_and_confirmations_train_as_usual(run: Run, builtin: Builtin, kind: str):
    plain = run(builtin("iris"), {"layers": 0, "learning_rate": 0.05})
    other = run(builtin("iris"), {"layers": 0, "learning_rate": 0.05}, kind=kind)
    assert other.outcome.value == plain.outcome.value


def test_a_split_seed_of_the_trials_own_divides_the_rows_otherwise(run: Run, builtin: Builtin):
    frozen = {"layers": 0, "learning_rate": 1e-12, "optimizer": "sgd"}
    plain = run(builtin("iris"), frozen, epochs=1)
    other = run(builtin("iris"), frozen, epochs=1, split_seed=7)
    assert plain.curve("loss") != other.curve("loss")
    assert run(builtin("iris"), frozen, epochs=1, split_seed=0).curve("loss") == plain.curve("loss")


def test_unusable_parameters_fail_with_one_sentence(run: Run, builtin: Builtin):
    memory = run(builtin("iris"), {"layers": 1, "units": 8, "turbo": True})
    assert (memory.outcome.state, memory.outcome.cause) == ("FAILED", "training_error")
    assert "turbo" in memory.outcome.detail
    assert "\n" not in memory.outcome.detail


def test_an_undefined_objective_fails_with_one_sentence(run: Run, store: Store):
    frame = pl.DataFrame(
        {"x": np.arange(20.0), "y": [1.0] * 10 + list(np.arange(10.0)), "part": ["validation"] * 10 + ["train"] * 10}
    )
    data = store(frame, target="y", task="regression")
    memory = run(data, SMALL, metric="r2", split={"column": "part", "test": 0.0})
    assert (memory.outcome.state, memory.outcome.cause) == ("FAILED", "training_error")
    assert memory.outcome.detail == "r2 is undefined on the validation rows; choose another metric, or change the split"


def test_an_impossible_split_fails_with_one_sentence(run: Run, builtin: Builtin):
    memory = run(builtin("iris"), SMALL, split={"column": "no such column", "test": 0.0})
    assert memory.outcome.state == "FAILED"
    assert "no such column" in memory.outcome.detail
    assert "\n" not in memory.outcome.detail


def raising(monkeypatch: pytest.MonkeyPatch, error: Exception):
    import workers.training.reference.engine as module

    def fail(*_args: Any, **_more: Any) -> None:
        raise error

    monkeypatch.setattr(module, "fit", fail)


def test_out_of_memory_is_infeasible(run: Run, builtin: Builtin, monkeypatch: pytest.MonkeyPatch):
    import tensorflow as tf

    for error in (tf.errors.ResourceExhaustedError(None, None, "no 99 GB left"), MemoryError("no room")):
        raising(monkeypatch, error)
        outcome = run(builtin("iris"), SMALL).outcome
        assert (outcome.state, outcome.cause) == ("INFEASIBLE", "oom")


def test_a_full_disk_gives_the_trial_back(run: Run, builtin: Builtin, monkeypatch: pytest.MonkeyPatch):
    raising(monkeypatch, OSError(errno.ENOSPC, "no space left"))
    outcome = run(builtin("iris"), SMALL).outcome
    assert (outcome.state, outcome.cause) == ("RELEASED", "disk_full")


def test_any_other_exception_fails_with_a_traceback_of_bounded_size(
    run: Run, builtin: Builtin, monkeypatch: pytest.MonkeyPatch
):
    raising(monkeypatch, RuntimeError("strange\x00 and long " + "x" * 100_000 + " the end"))
    outcome = run(builtin("iris"), SMALL).outcome
    assert (outcome.state, outcome.cause) == ("FAILED", "training_error")
    assert outcome.detail.startswith("Traceback")
    assert outcome.detail.endswith("the end\n")
    assert "\x00" not in outcome.detail
    assert len(outcome.detail) <= MAX_DETAIL_CHARACTERS


def test_a_trial_that_fails_does_not_stop_the_next(engine: Any, make_task: MakeTask, builtin: Builtin):
    memory = Memory()
    tasks = [make_task(builtin("iris"), {"units": 0}), make_task(builtin("iris"), SMALL, epochs=1)]
    engine.train(tasks, memory)
    assert [outcome.state for outcome in memory.outcomes] == ["FAILED", "COMPLETE"]


def test_kerass_own_settings_are_left_as_they_were(exact_engine: Any, make_task: MakeTask, builtin: Builtin):
    import keras

    memory = Memory()
    exact_engine.train([make_task(builtin("iris"), SMALL, epochs=1)], memory)
    assert memory.outcome.state == "COMPLETE"
    assert keras.config.floatx() == "float32"


def test_no_model_is_written_unless_wanted(run: Run, builtin: Builtin, tmp_path: Path):
    memory = run(builtin("iris"), SMALL, model=True, sink=Memory(keep=False))
    assert memory.models == [None]
    assert memory.offered == [memory.outcome.value]
    assert list(tmp_path.iterdir()) == []


def test_a_linear_model_is_the_one_without_layers(run: Run, linear: Stored):
    memory = run(linear, {"layers": 0, "learning_rate": 0.1, "batch_size": 16}, metric="r2", epochs=15)
    assert MlpConfig.from_params({"layers": 0}).units == ()
    assert memory.outcome.value > 0.98
