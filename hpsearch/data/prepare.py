"""Preprocessing: columns to network inputs and back, by statistics of the training rows alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hpsearch.data.column_plan import ColumnPlan, fit_column, moments, write_column
from hpsearch.data.links import LINKS
from hpsearch.data.target_for_task import table_for_task
from hpsearch.domain.task import TASKS
from hpsearch.errors import InvalidStudyError

if TYPE_CHECKING:
    from hpsearch.data.table import Table
    from hpsearch.domain.task import TaskName

__all__ = ["ColumnPlan", "Preparation", "fit_preparation"]

# Rows prepared at a time: a block of them stays in the processor's cache while its columns are written.
_BLOCK = 4_096


@dataclass(frozen=True)
class Preparation:
    """How columns become inputs and the target becomes what the loss compares with.

    Attributes:
        columns: In input order; each fills `width` neighbouring inputs.
        target_mean: Subtracted from a regression target; 0 for classification.
        target_scale: Divides a regression target; 1 for classification or a constant target.
        n_inputs: Sum of the widths.
        n_outputs: Width of the network's output: classes for multiclass, else 1.
        task: What the targets are for.
        classes: Labels in the order of the outputs; empty for regression.
    """

    columns: tuple[ColumnPlan, ...]
    target_mean: float
    target_scale: float
    n_inputs: int
    n_outputs: int
    task: TaskName
    classes: tuple[str, ...] = ()

    def inputs(self, table: Table, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the inputs of the rows: (len(rows), n_inputs) float32, never NaN or infinite.

        Args:
            table: With at least the columns of this preparation; need not be the one it was fitted on.
            rows: int64 row numbers, any order.
        """
        out = np.zeros((len(rows), self.n_inputs), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            position = 0
            for plan in self.columns:
                write_column(plan, table.columns[plan.name][block], out[start : start + _BLOCK], position)
                position += plan.width
        return out

    def targets(
        self, table: Table, rows: np.ndarray[Any, Any], dtype: npt.DTypeLike = np.float32
    ) -> np.ndarray[Any, Any]:
        """Return the targets of the rows, (len(rows),).

        With an output for each class: int32 class codes. With two classes: 1 for the second, 0 for the first. Numbers:
        standardised.

        Args:
            table: As for `inputs`.
            rows: int64 row numbers, any order.
            dtype: Of targets that are not class codes.

        Raises:
            InvalidStudyError: The target of this table does not fit the task.
        """
        target = table_for_task(table, self.task).target[rows]
        if TASKS[self.task].has_output_per_class:
            return np.asarray(target, dtype=np.int32)
        return np.asarray((target - self.target_mean) / self.target_scale, dtype=dtype)

    def predictions(self, raw: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return what a network's raw outputs predict, (n, n_outputs): probabilities, or values in the target's unit.

        With two classes the one column is the probability of the second.

        Args:
            raw: (n, n_outputs) float64 logits, or standardised values.
        """
        return np.asarray(LINKS[TASKS[self.task].link](raw) * self.target_scale + self.target_mean)


def fit_preparation(
    table: Table,
    task: TaskName,
    rows: np.ndarray[Any, Any],
    *,
    structure_rows: np.ndarray[Any, Any] | None = None,
    exclude: frozenset[str] = frozenset(),
) -> Preparation:
    """Return the preparation fitted on some rows.

    Args:
        table: The data.
        task: Of the study.
        rows: Training rows, int64: means, scales and fill values come from these alone.
        structure_rows: Rows that decide which categories and which indicators exist; default `rows`. For k-fold all
            rows that are not test rows, so that each fold's network has the same number of inputs.
        exclude: Columns that are not inputs, such as the split column.

    Raises:
        InvalidStudyError: The target does not fit the task, or no input column is left.
    """
    table = table_for_task(table, task)
    structure = rows if structure_rows is None else structure_rows
    chosen = [column for column in table.profile.columns if column.name not in exclude]
    if not chosen:
        msg = "the data set has no input column left; upload one with a column beside the target and the split column"
        raise InvalidStudyError(msg, code="study.no_inputs")
    plans = tuple(fit_column(column, table.columns[column.name], rows, structure) for column in chosen)
    mean, scale = moments(table.target[rows]) if not TASKS[task].has_classes else (0.0, 1.0)
    return Preparation(
        columns=plans,
        target_mean=mean,
        target_scale=scale or 1.0,
        n_inputs=sum(plan.width for plan in plans),
        n_outputs=TASKS[task].n_outputs(len(table.profile.classes)),
        task=task,
        classes=table.profile.classes,
    )
