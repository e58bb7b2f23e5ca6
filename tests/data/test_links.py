"""Link functions: probabilities that sum to one, however large the logits are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from hpsearch.data.links import LINKS, class_probabilities
from hpsearch.data.prepare import Preparation
from hpsearch.domain.task import TASKS, Task, TaskName

HUGE = np.array([[1e5, 0.0, -1e5], [0.0, 0.0, 0.0]])


def preparation(task: TaskName, mean: float = 0.0, scale: float = 1.0) -> Preparation:
    return Preparation((), mean, scale, 1, 3, task)


def test_predictions_of_huge_logits_are_finite():
    p = preparation("multiclass").predictions(HUGE)
    np.testing.assert_allclose(p, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    p = preparation("binary").predictions(np.array([[1e5], [-1e5], [0.0], [2.0]]))
    np.testing.assert_allclose(p[:, 0], [1, 0, 0.5, 1 / (1 + np.exp(-2.0))])


def test_numbers_are_given_back_in_the_targets_unit():
    assert preparation("regression", 10.0, 2.0).predictions(np.array([[-1.0], [0.5]])).tolist() == [[8.0], [11.0]]


@pytest.mark.parametrize("task", [task for task in TASKS.values() if task.has_classes], ids=lambda task: task.name)
def test_the_columns_of_classes_sum_to_one(task: Task):
    raw = np.random.default_rng(0).normal(0, 30, (50, task.n_outputs(task.n_classes or 4)))
    p = class_probabilities(task.name, preparation(task.name).predictions(raw))
    assert p.shape == (50, task.n_classes or 4)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)


@pytest.mark.parametrize("spread", [0.1, 4.0, 60.0, 900.0])
def test_probabilities_are_scipys(spread: float):
    raw = np.random.default_rng(1).normal(size=(7, 40, 5)) * spread
    # Below, scipy has numbers that are subnormal, and ours are rounded.
    np.testing.assert_allclose(LINKS["softmax"](raw), softmax(raw, axis=-1), rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(LINKS["sigmoid"](raw), expit(raw), rtol=1e-13, atol=1e-300)


def test_every_task_has_its_link():
    assert {task.link for task in TASKS.values()} == set(LINKS)
