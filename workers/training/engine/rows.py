"""The prepared rows of a study, training and held-out, cached for the next trial."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, Final
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from hpsearch.data.prepare import Preparation, fit_preparation
from hpsearch.data.split import Rows, split_rows
from hpsearch.data.table import Table, read_table
from hpsearch.data.target_for_task import table_for_task
from hpsearch.domain.dataset import ColumnKind
from hpsearch.domain.study import Split
from hpsearch.domain.task import TASKS, TaskName
from workers.training.engine.numerics import DType
from workers.training.engine.task import TrialTask

_LARGEST: Final = float(np.finfo(np.float32).max)
_MAX_KEPT_BYTES: Final = 256 * 2**20


@dataclass(frozen=True)
class Part:
    """Some rows, prepared.

    Attributes:
        inputs: (n, n_inputs), float32 or float64.
        targets: What the loss compares with: (n,) int32 codes for multiclass, else (n, 1) of the inputs' type.
        truth: What metrics compare with: (n,) int64 codes, or (n,) float64 in the target's unit.
        rows: (n,) int64 row numbers in the table.
    """

    inputs: npt.NDArray[Any]
    targets: npt.NDArray[Any]
    truth: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """Rows to fit on and rows to judge by.

    Attributes:
        preparation: Fitted on the rows of `train`.
        train: Rows of the gradient steps.
        held_out: Rows of the metrics; None when nothing is held out.
    """

    preparation: Preparation
    train: Part
    held_out: Part | None


class StudyRows:
    """The rows of one study.

    Args:
        table: All of them, numbers as float32 can hold them.
        task: What is predicted.
        split: How they are divided.
        dtype: Of the prepared inputs.
    """

    def __init__(self, table: Table, task: TaskName, split: Split, dtype: DType) -> None:
        self.table = table_for_task(table, task)
        self.task = task
        self._rows: Rows = split_rows(table, task, split)
        self._exclude = frozenset(() if split.column is None else (split.column,))
        self._dtype = dtype
        self._kept: dict[int, Prepared] = {}
        # Too large to keep: shared as long as somebody trains on it.
        self._in_use: WeakValueDictionary[int, Prepared] = WeakValueDictionary()
        self._preparing = threading.Lock()

    @property
    def n_folds(self) -> int:
        """Folds of cross-validation; 1 for a hold-out split."""
        return len(self._rows.folds)

    @property
    def n_test(self) -> int:
        """Rows locked away for the final model."""
        return len(self._rows.test)

    def fold(self, number: int) -> Prepared:
        """Return training and validation rows of a fold, from 0; threads that ask for one share it."""
        with self._preparing:
            prepared = self._kept.get(number) or self._in_use.get(number)
            return self._fold(number) if prepared is None else prepared

    def _fold(self, number: int) -> Prepared:
        fold = self._rows.folds[number]
        structure = fold.train if self.n_folds == 1 else self._rows.development
        prepared = self._prepare(fold.train, fold.validation, structure)
        if prepared.train.inputs.nbytes * self.n_folds <= _MAX_KEPT_BYTES:
            self._kept[number] = prepared
        self._in_use[number] = prepared
        return prepared

    def development(self, *, test: bool) -> Prepared:
        """Return all rows that are not test rows to train on, and the test rows to judge by when asked for."""
        rows = self._rows.development
        return self._prepare(rows, self._rows.test if test else None, rows)

    def _prepare(
        self, train: npt.NDArray[np.int64], held_out: npt.NDArray[np.int64] | None, structure: npt.NDArray[np.int64]
    ) -> Prepared:
        preparation = fit_preparation(self.table, self.task, train, structure_rows=structure, exclude=self._exclude)
        judged = None if held_out is None else self._part(preparation, held_out)
        return Prepared(preparation, self._part(preparation, train), judged)

    def _part(self, preparation: Preparation, rows: npt.NDArray[np.int64]) -> Part:
        inputs = preparation.inputs(self.table, rows).astype(self._dtype, copy=False)
        truth = self.table.target[rows]
        targets = preparation.targets(self.table, rows, self._dtype)
        column = targets if TASKS[self.task].has_output_per_class else targets.reshape(-1, 1)
        return Part(inputs, column, truth, rows)


class RowsCache:
    """Keeps the last studies' rows, so that a worker reads a data set once and not for every trial.

    Args:
        dtype: Of the prepared inputs.
        size: Studies kept; 2 lets a worker alternate between two.
    """

    def __init__(self, dtype: DType, size: int = 2) -> None:
        self._dtype: DType = dtype
        self._size = size
        self._tables: OrderedDict[str, Table] = OrderedDict()
        self._studies: OrderedDict[str, StudyRows] = OrderedDict()

    def of(self, task: TrialTask) -> StudyRows:
        """Return the rows of the task's study, divided by the trial's own split seed if it has one.

        Raises:
            InvalidDatasetError: The content is not what the profile says.
            InvalidStudyError: The split or the target does not work.
        """
        split = task.study.split
        if task.trial.split_seed is not None:
            split = split.model_copy(update={"seed": task.trial.split_seed})
        key = f"{task.study.dataset_digest} {task.study.task} {split.model_dump_json()}"
        if key not in self._studies:
            self._studies[key] = StudyRows(self._table(task), task.study.task, split, self._dtype)
        self._studies.move_to_end(key)
        while len(self._studies) > self._size:
            self._studies.popitem(last=False)
        return self._studies[key]

    def _table(self, task: TrialTask) -> Table:
        digest = task.study.dataset_digest
        if digest not in self._tables:
            self._tables[digest] = as_float32(read_table(task.content, task.profile, digest))
        self._tables.move_to_end(digest)
        while len(self._tables) > self._size:
            self._tables.popitem(last=False)
        return self._tables[digest]


def as_float32(table: Table) -> Table:
    """Return the table with its numeric columns rounded to what float32 holds, still float64.

    Keras hands a model float32, whatever it is given. Training on the same rounded numbers makes the exported model
    score what was reported, also where a column holds timestamps or other numbers of many digits.
    """
    columns = dict(table.columns)
    for column in table.profile.columns:
        if column.kind != ColumnKind.CATEGORICAL:
            held = np.clip(table.columns[column.name], -_LARGEST, _LARGEST)
            columns[column.name] = held.astype(np.float32).astype(np.float64)
    return replace(table, columns=columns)
