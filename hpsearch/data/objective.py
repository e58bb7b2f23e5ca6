"""Whether the objective, a metric of the task, is defined on the validation rows of every fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hpsearch.data.target_for_task import table_for_task
from hpsearch.domain.task import TASKS, TaskName
from hpsearch.errors import InvalidStudyError

if TYPE_CHECKING:
    from hpsearch.data.split import Rows
    from hpsearch.data.table import Table


def check_objective(table: Table, task: TaskName, rows: Rows, metric: str) -> None:
    """Return when every fold's validation rows can be scored by the metric.

    Args:
        table: The data.
        task: Of the study.
        rows: Of the study.
        metric: Name of the objective.

    Raises:
        InvalidStudyError: The metric is not one of the task, or is undefined on the validation rows of a fold:
            roc_auc where a class is absent, r2 where the target does not vary.
    """
    if metric not in TASKS[task].metrics:
        msg = f"{metric} is not a metric of {task}; choose one of {', '.join(TASKS[task].metrics)}"
        raise InvalidStudyError(msg, code="study.objective")
    if metric not in ("roc_auc", "r2"):
        return
    table = table_for_task(table, task)
    for number, fold in enumerate(rows.folds):
        where = "the validation rows" if len(rows.folds) == 1 else f"the validation rows of fold {number + 1}"
        target = table.target[fold.validation]
        if metric == "r2" and target.min() == target.max():
            msg = f"r2 is undefined because the target does not vary in {where}; choose mse or mae, or change the split"
            raise InvalidStudyError(msg, code="study.objective")
        if metric == "roc_auc":
            absent = np.setdiff1d(np.arange(len(table.profile.classes)), target)
            if len(absent):
                msg = (
                    f"roc_auc is undefined because {where} hold no row of class {table.profile.classes[absent[0]]!r}; "
                    "choose another metric, or change the split"
                )
                raise InvalidStudyError(msg, code="study.objective")
