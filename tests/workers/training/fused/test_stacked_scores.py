"""Scores of a whole pack: those of scikit-learn, member by member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import metrics as reference

from hpsearch.data.links import LINKS, class_probabilities
from hpsearch.domain.task import TASKS, TaskName
from workers.training.engine.stacked_scores import MAX_RANKED, Metrics, Truth

Array = npt.NDArray[Any]


def _expected(
    task: TaskName, raw: Array, truth: Array, *, mean: float = 0.0, scale: float = 1.0, ranks: bool = True
) -> list[Metrics]:
    """Return scikit-learn's numbers, member by member."""
    if task == "regression":
        return [_errors(member[:, 0].astype(np.float64) * scale + mean, truth, scale) for member in raw]
    # The link is the product's, whose numbers tests/data/test_links.py holds: another's last bits rank rows otherwise.
    probabilities = [class_probabilities(task, LINKS[TASKS[task].link](member.astype(np.float64))) for member in raw]
    return [_shares(p, truth, task, ranks=ranks) for p in probabilities]


def _errors(predicted: Array, truth: Array, scale: float) -> Metrics:
    mse = reference.mean_squared_error(truth, predicted)
    return {
        "loss": mse / scale**2,
        "mse": mse,
        "rmse": mse**0.5,
        "mae": reference.mean_absolute_error(truth, predicted),
        "r2": reference.r2_score(truth, predicted) if np.ptp(truth) else None,
    }


def _shares(p: Array, truth: Array, task: TaskName, *, ranks: bool) -> Metrics:
    labels, present, said = range(p.shape[1]), np.unique(truth), p.argmax(axis=1)
    ranks = ranks and len(present) == p.shape[1]
    metrics = {
        "loss": reference.log_loss(truth, p, labels=labels),
        "accuracy": reference.accuracy_score(truth, said),
        "balanced_accuracy": reference.recall_score(truth, said, labels=present, average="macro", zero_division=0),
        "f1_macro": reference.f1_score(truth, said, average="macro", zero_division=0),
    }
    if task == "binary":
        area = reference.roc_auc_score(truth, p[:, 1]) if ranks else None
        return metrics | {"f1": reference.f1_score(truth, said, zero_division=0), "roc_auc": area}
    return metrics | {"roc_auc": reference.roc_auc_score(truth, p, multi_class="ovr") if ranks else None}


def _assert_same(got: Sequence[Metrics | None], expected: list[Metrics]) -> None:
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert one is not None
        assert set(one) == set(other)
        for name, value in other.items():
            assert one[name] == (None if value is None else pytest.approx(value, rel=1e-12, abs=1e-14)), name


@pytest.mark.parametrize("n_classes", [3, 10])
@pytest.mark.parametrize("spread", [0.1, 4.0, 60.0])
def test_multiclass(n_classes: int, spread: float) -> None:
    random = np.random.default_rng(1)
    raw = (random.normal(size=(7, 113, n_classes)) * spread).astype(np.float32)
    truth = random.integers(0, n_classes, 113)
    got = Truth("multiclass", truth, n_classes=n_classes).scores(raw)
    assert set(got[0]) == set(TASKS["multiclass"].metrics)
    _assert_same(got, _expected("multiclass", raw, truth))


@pytest.mark.parametrize("spread", [0.1, 4.0, 900.0])
def test_binary(spread: float) -> None:
    random = np.random.default_rng(2)
    raw = (random.normal(size=(5, 91, 1)) * spread).astype(np.float32)
    truth = random.integers(0, 2, 91)
    got = Truth("binary", truth).scores(raw)
    assert set(got[0]) == set(TASKS["binary"].metrics)
    _assert_same(got, _expected("binary", raw, truth))


def test_regression() -> None:
    random = np.random.default_rng(3)
    raw = random.normal(size=(5, 77, 1)).astype(np.float32)
    truth = random.normal(size=77) * 30 - 500
    got = Truth("regression", truth, target_mean=-500.0, target_scale=30.0).scores(raw)
    assert set(got[0]) == set(TASKS["regression"].metrics)
    _assert_same(got, _expected("regression", raw, truth, mean=-500.0, scale=30.0))


def test_equal_predictions_share_their_ranks() -> None:
    random = np.random.default_rng(4)
    raw = random.integers(-1, 2, (6, 60, 3)).astype(np.float32)
    truth = random.integers(0, 3, 60)
    _assert_same(Truth("multiclass", truth, n_classes=3).scores(raw), _expected("multiclass", raw, truth))
    constant = np.zeros((2, 60, 1), np.float32)
    halves = random.integers(0, 2, 60)
    got = Truth("binary", halves).scores(constant)
    assert got[0]["roc_auc"] == pytest.approx(0.5)
    _assert_same(got, _expected("binary", constant, halves))


def test_an_absent_class_leaves_the_ranking_undefined() -> None:
    random = np.random.default_rng(5)
    raw = random.normal(size=(3, 40, 4)).astype(np.float32)
    truth = random.integers(0, 3, 40)
    got = Truth("multiclass", truth, n_classes=4).scores(raw)
    assert got[0]["roc_auc"] is None
    _assert_same(got, _expected("multiclass", raw, truth))


def test_a_target_that_does_not_vary_has_no_r2() -> None:
    raw = np.ones((2, 9, 1), np.float32)
    truth = np.full(9, 2.0)
    got = Truth("regression", truth).scores(raw)
    assert got[0]["r2"] is None
    _assert_same(got, _expected("regression", raw, truth))


def test_a_member_with_an_output_that_is_not_finite_has_no_scores() -> None:
    raw = np.zeros((4, 10, 2), np.float32)
    raw[1, 3, 0] = np.nan
    raw[3, 0, 1] = np.inf
    got = Truth("multiclass", np.arange(10) % 2, n_classes=2).scores(raw)
    assert [scores is None for scores in got] == [False, True, False, True]
    assert Truth("multiclass", np.arange(10) % 2).scores(raw[[1, 3]]) == [None, None]


def test_a_members_scores_do_not_depend_on_the_others() -> None:
    raw = np.random.default_rng(6).normal(size=(9, 200, 10)).astype(np.float32)
    truth = Truth("multiclass", np.arange(200) % 10, n_classes=10)
    together = truth.scores(raw)
    for place in range(9):
        assert truth.scores(raw[place : place + 1])[0] == together[place]


@pytest.mark.parametrize("objective", [None, "roc_auc"])
def test_ranking_very_many_predictions_is_left_out_unless_it_is_the_objective(objective: str | None) -> None:
    n_rows = MAX_RANKED // 2 + 1
    raw = np.random.default_rng(7).normal(size=(1, n_rows, 1)).astype(np.float32)
    truth = np.arange(n_rows) % 2
    got = Truth("binary", truth, objective=objective).scores(raw)
    assert (got[0]["roc_auc"] is None) == (objective is None)
    _assert_same(got, _expected("binary", raw, truth, ranks=objective is not None))
