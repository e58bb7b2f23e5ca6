"""The tasks: complete, consistent, and the only place that tells them apart."""

from __future__ import annotations

from typing import get_args

import pytest

from hpsearch.domain.metrics import KNOWN_METRICS
from hpsearch.domain.task import TASKS, Link, Loss, Task, TaskName, task_for

EACH = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def test_every_name_of_the_wire_is_a_task():
    assert tuple(TASKS) == get_args(TaskName)
    assert all(task.name == name for name, task in TASKS.items())


def test_every_link_loss_and_metric_is_some_tasks():
    assert {task.link for task in TASKS.values()} == set(get_args(Link))
    assert {task.loss for task in TASKS.values()} == set(get_args(Loss))
    assert {name for task in TASKS.values() for name in task.metrics} == set(KNOWN_METRICS)


@EACH
def test_metrics_are_known_by_their_names_and_the_loss_is_one(task: Task):
    assert task.default_metric in task.metrics
    assert "loss" in task.metrics
    assert all(metric.name == name and metric is KNOWN_METRICS[name] for name, metric in task.metrics.items())


@EACH
def test_metrics_admit_what_lies_within_their_bounds(task: Task):
    for metric in task.metrics.values():
        assert metric.admits(0.5)
        assert not metric.admits(float("nan"))
        assert not metric.admits(float("inf"))
        assert not metric.admits(metric.high + 1e-3 if metric.direction == "maximize" else metric.low - 1e-3)


@pytest.mark.parametrize(
    ("n_classes", "name", "n_outputs"),
    [(0, "regression", 1), (2, "binary", 1), (3, "multiclass", 3), (1_000, "multiclass", 1_000)],
)
def test_the_number_of_classes_decides_the_task_and_the_width_of_its_output(n_classes: int, name: str, n_outputs: int):
    task = task_for(n_classes)
    assert (task.name, task.n_outputs(n_classes)) == (name, n_outputs)
    assert task.has_classes == (n_classes > 0)
    assert task.n_classes in (None, n_classes)


def test_one_task_has_a_positive_class():
    assert [task.name for task in TASKS.values() if task.has_positive_class] == ["binary"]
    # Two classes may be taken for any number of them: then each has an output.
    assert TASKS["multiclass"].n_outputs(2) == 2
