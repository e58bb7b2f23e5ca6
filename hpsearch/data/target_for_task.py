"""A target read for a task: class labels as numbers or numbers as class labels, where that is possible."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpsearch.domain.task import TASKS, task_for
from hpsearch.errors import InvalidStudyError

if TYPE_CHECKING:
    from hpsearch.data.table import Table
    from hpsearch.domain.task import TaskName

# More classes than this are far likelier a measured quantity than labels, and the output layer would be huge.
MAX_CLASSES: Final = 1_000


def table_for_task(table: Table, task: TaskName) -> Table:
    """Return the table with its target and profile read for the task; the same object when nothing changes.

    Numbers that were taken for class labels can be regressed on, and a numeric target of few distinct values can be
    classified. Calling it again changes nothing.

    Raises:
        InvalidStudyError: The target does not fit the task.
    """
    wanted = TASKS[task]
    if not wanted.has_classes:
        return _as_numbers(table, task) if TASKS[table.profile.task].has_classes else table
    if not TASKS[table.profile.task].has_classes:
        table = _as_classes(table, task)
    n_classes = len(table.profile.classes)
    if wanted.n_classes not in (None, n_classes):
        other = task_for(n_classes)
        msg = (
            f"the task is {task} but the target {table.profile.target!r} has {n_classes} classes; "
            f"{f'set task to {other.name}' if n_classes > 1 else 'upload rows of a second class'}"
        )
        raise InvalidStudyError(msg, code="study.task_mismatch")
    if table.profile.task == task:
        return table
    return replace(table, profile=table.profile.model_copy(update={"task": task}))


def _as_numbers(table: Table, task: TaskName) -> Table:
    numbers = [_number(label) for label in table.profile.classes]
    wrong = next((label for label, number in zip(table.profile.classes, numbers, strict=True) if number is None), None)
    if wrong is not None:
        msg = (
            f"the task is {task} but the target {table.profile.target!r} holds labels such as {wrong!r}; "
            f"set task to {table.profile.task}, or upload a numeric target"
        )
        raise InvalidStudyError(msg, code="study.task_mismatch")
    target = np.array(numbers, dtype=np.float64)[table.target]
    update: dict[str, Any] = {
        "task": task,
        "classes": (),
        "class_counts": (),
        "target_mean": float(target.mean()),
        "target_std": float(target.std()),
    }
    return replace(table, profile=table.profile.model_copy(update=update), target=target)


def _as_classes(table: Table, task: TaskName) -> Table:
    values, codes, counts = np.unique(table.target, return_inverse=True, return_counts=True)
    if len(values) > min(MAX_CLASSES, table.n_rows // 2):
        msg = (
            f"the task is {task} but the target {table.profile.target!r} holds {len(values)} distinct numbers in "
            f"{table.n_rows} rows; set task to {task_for(0).name}, or upload class labels as the target"
        )
        raise InvalidStudyError(msg, code="study.task_mismatch")
    update: dict[str, Any] = {
        "task": task_for(len(values)).name,
        "classes": tuple(number_label(value) for value in values.tolist()),
        "class_counts": tuple(int(count) for count in counts),
        "target_mean": None,
        "target_std": None,
    }
    return replace(table, profile=table.profile.model_copy(update=update), target=codes.reshape(-1).astype(np.int64))


def number_label(value: float) -> str:
    """Return a number as a class label: `3` for 3.0, else the shortest text that reads back the same."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _number(label: str) -> float | None:
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
