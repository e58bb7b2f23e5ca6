from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from hpsearch.domain.task import TASKS
from workers.training.engine.scores import score


def probabilities(random: np.random.Generator, n: int, k: int, *, ties: bool):
    raw = random.random((n, k)) + 0.01
    if ties:
        raw = np.round(raw, 1) + 0.1
    return raw / raw.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_multiclass_metrics_are_scikit_learns(seed: int, ties: bool):
    random = np.random.default_rng(seed)
    p = probabilities(random, 60, 4, ties=ties)
    truth = np.concatenate([np.arange(4), random.integers(0, 4, 56)])
    scored = score("multiclass", p, truth)
    said = p.argmax(axis=1)
    assert scored == pytest.approx(
        {
            "loss": reference.log_loss(truth, p),
            "accuracy": reference.accuracy_score(truth, said),
            "balanced_accuracy": reference.balanced_accuracy_score(truth, said),
            "f1_macro": reference.f1_score(truth, said, average="macro"),
            "roc_auc": reference.roc_auc_score(truth, p, multi_class="ovr", average="macro"),
        },
        abs=1e-12,
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_binary_metrics_are_scikit_learns(seed: int, ties: bool):
    random = np.random.default_rng(seed)
    p = probabilities(random, 60, 2, ties=ties)[:, 1]
    p[:2] = 0.0, 1.0
    truth = np.concatenate([[0, 1], random.integers(0, 2, 58)])
    said = (p > 0.5).astype(int)
    scored = score("binary", p, truth)
    assert scored == pytest.approx(
        {
            "loss": reference.log_loss(truth, p),
            "accuracy": reference.accuracy_score(truth, said),
            "balanced_accuracy": reference.balanced_accuracy_score(truth, said),
            "f1": reference.f1_score(truth, said),
            "f1_macro": reference.f1_score(truth, said, average="macro"),
            "roc_auc": reference.roc_auc_score(truth, p),
        },
        abs=1e-12,
    )


def test_regression_metrics_are_scikit_learns_and_the_loss_is_standardised():
    random = np.random.default_rng(0)
    truth = random.normal(1e6, 30.0, 80)
    predicted = truth + random.normal(0, 9.0, 80)
    mse = reference.mean_squared_error(truth, predicted)
    assert score("regression", predicted, truth, target_scale=30.0) == pytest.approx(
        {
            "loss": mse / 900.0,
            "mse": mse,
            "rmse": mse**0.5,
            "mae": reference.mean_absolute_error(truth, predicted),
            "r2": reference.r2_score(truth, predicted),
        },
        rel=1e-9,
    )


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_of_the_task_is_there_and_possible(task: Any):
    random = np.random.default_rng(1)
    truth = random.normal(size=20) if task == "regression" else random.integers(0, 2, 20)
    p = {"multiclass": probabilities(random, 20, 2, ties=False), "binary": random.random(20)}.get(task, truth + 1.0)
    scored = score(task, p, truth)
    assert set(scored) == set(TASKS[task].metrics)
    assert all(TASKS[task].metrics[name].admits(value) for name, value in scored.items())


def test_a_class_that_is_absent_makes_the_area_undefined_and_nothing_else():
    scored = score("multiclass", np.full((4, 3), 1 / 3), np.array([0, 1, 1, 0]))
    assert scored["roc_auc"] is None
    assert scored["balanced_accuracy"] == 0.5
    assert None not in [value for name, value in scored.items() if name != "roc_auc"]


def test_a_truth_that_does_not_vary_makes_r2_undefined():
    scored = score("regression", np.array([1.0, 2.0]), np.array([3.0, 3.0]))
    assert scored["r2"] is None
    assert scored["mse"] == pytest.approx(2.5)


def test_an_overflowing_error_is_undefined_rather_than_infinite():
    assert score("regression", np.array([1e200, -1e200]), np.array([0.0, 1.0]))["mse"] is None


def test_a_certain_and_wrong_prediction_costs_a_finite_loss():
    assert score("binary", np.array([1.0]), np.array([0]))["loss"] == pytest.approx(-np.log(np.finfo(float).eps))


def test_ranking_many_classes_is_left_out_unless_it_is_the_objective():
    p = np.full((4, 600_000), 1 / 600_000)
    truth = np.array([0, 1, 2, 3])
    assert score("multiclass", p, truth)["roc_auc"] is None
    small = np.full((4, 2), 0.5)
    assert score("multiclass", small, np.array([0, 1, 0, 1]), objective="accuracy")["roc_auc"] == 0.5
