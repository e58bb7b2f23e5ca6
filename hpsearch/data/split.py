"""The split into training, validation and test rows: stratified hold-out, k-fold or by a column.

A pure function of data digest and split definition.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.data.split_column import rows_by_column
from hpsearch.data.target_for_task import table_for_task
from hpsearch.domain.task import TASKS
from hpsearch.errors import InvalidStudyError

if TYPE_CHECKING:
    from hpsearch.data.table import Table
    from hpsearch.domain.study import Split
    from hpsearch.domain.task import TaskName


@dataclass(frozen=True)
class Fold:
    """Row numbers of one division.

    Attributes:
        train: int64, sorted, 0-based.
        validation: int64, sorted, 0-based; disjoint from train.
    """

    train: np.ndarray[Any, Any]
    validation: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Rows:
    """Where every row of a study belongs.

    Attributes:
        folds: One for a hold-out split or a split column, k for k-fold.
        test: int64 row numbers, sorted; in no fold.
    """

    folds: tuple[Fold, ...]
    test: np.ndarray[Any, Any]

    @property
    def development(self) -> np.ndarray[Any, Any]:
        """All rows that are not test rows, sorted: int64."""
        return np.union1d(self.folds[0].train, self.folds[0].validation)


def split_rows(table: Table, task: TaskName, split: Split) -> Rows:
    """Return the rows of each part, the same on every machine and for every trial of a study.

    The rows are shuffled by a seed made from (digest, split.seed), ordered by class where stratified, and every part
    takes its share evenly along that order. So a class with m rows gives a part of fraction f either floor(f m) or
    ceil(f m) rows, parts have their exact size, and a class too small for every part needs no exception. The test rows
    depend on digest, seed, test fraction and stratification only: the same with 5 folds as with a hold-out.

    Args:
        table: The data.
        task: Of the study; classification is stratified unless `split.stratify` is false.
        split: The definition.

    Raises:
        InvalidStudyError: The target does not fit the task, a part would be empty, there are fewer rows than folds, a
            class is smaller than the number of parts though `stratify: true` asks for it in each, the split column
            does not work, or training rows show one class or one target value only.
    """
    table = table_for_task(table, task)
    if split.column is not None:
        train, validation, test = rows_by_column(table, split.column)
        rows = Rows((Fold(train, validation),), test)
    else:
        rows = _random_rows(table, task, split)
    for fold in rows.folds:
        _check_training_target(table, task, fold.train)
    return rows


def _random_rows(table: Table, task: TaskName, split: Split) -> Rows:
    n_test = _part_size("test", split.test, table.n_rows)
    if split.stratify and not TASKS[task].has_classes:
        msg = f"split.stratify is true but the task is {task}, which has no classes; leave stratify out"
        raise InvalidStudyError(msg, code="study.split")
    if split.stratify:
        _check_class_sizes(table, (split.folds or 2) + (n_test > 0))
    random = _generator(table.digest, split.seed)
    order = random.permutation(table.n_rows)
    if TASKS[task].has_classes and split.stratify is not False:
        order = order[np.argsort(table.target[order], kind="stable")]
    phases = random.randint(2**31 - 1, size=2, dtype=np.int64)
    in_test = _spread(table.n_rows, n_test, int(phases[0]))
    rest = order[~in_test]
    folds = _hold_out(rest, table.n_rows, split, int(phases[1])) if split.folds is None else _k_folds(rest, split.folds)
    return Rows(folds, np.sort(order[in_test]))


def _hold_out(rest: np.ndarray[Any, Any], n_rows: int, split: Split, phase: int) -> tuple[Fold, ...]:
    n_validation = _part_size("validation", split.validation_fraction, n_rows)
    if n_validation >= len(rest):
        msg = (
            f"{n_rows} rows leave none to train on after {n_rows - len(rest)} for test and {n_validation} for "
            "validation; upload more rows or lower split.test and split.validation"
        )
        raise InvalidStudyError(msg, code="study.split")
    in_validation = _spread(len(rest), n_validation, phase)
    return (Fold(np.sort(rest[~in_validation]), np.sort(rest[in_validation])),)


def _k_folds(rest: np.ndarray[Any, Any], n_folds: int) -> tuple[Fold, ...]:
    if len(rest) < n_folds:
        msg = (
            f"{n_folds} folds need at least {n_folds} rows that are not test rows, the data has {len(rest)}; "
            "lower split.folds or upload more rows"
        )
        raise InvalidStudyError(msg, code="study.split")
    number = np.arange(len(rest)) % n_folds
    return tuple(Fold(np.sort(rest[number != k]), np.sort(rest[number == k])) for k in range(n_folds))


def _generator(digest: str, seed: int) -> np.random.RandomState:
    # The legacy generator on purpose: numpy freezes its stream, while `Generator` may change between releases, and
    # server and workers may run different releases.
    key = hashlib.sha256(f"hpsearch split {digest} {seed}".encode()).digest()
    return np.random.RandomState(np.frombuffer(key, dtype="<u4"))


def _spread(n: int, n_chosen: int, phase: int) -> np.ndarray[Any, Any]:
    """Return (n,) bool with exactly n_chosen true, evenly spaced, starting at a phase; n may be 0."""
    if n == 0:
        return np.zeros(0, dtype=bool)
    marks = (np.arange(n + 1, dtype=np.int64) * n_chosen + phase % n) // n
    return np.asarray(np.diff(marks) == 1)


def _part_size(part: str, fraction: float, n_rows: int) -> int:
    size = int(fraction * n_rows + 0.5)
    if fraction > 0 and size == 0:
        msg = (
            f"split.{part} {fraction} of {n_rows} rows is no row at all; upload more rows or raise split.{part}"
            f"{', or set it to 0' if part == 'test' else ''}"
        )
        raise InvalidStudyError(msg, code="study.split")
    return size


def _check_class_sizes(table: Table, n_parts: int) -> None:
    counts = np.bincount(table.target, minlength=len(table.profile.classes))
    smallest = int(counts.argmin())
    if counts[smallest] < n_parts:
        msg = (
            f"split.stratify is true but class {table.profile.classes[smallest]!r} has {counts[smallest]} rows for "
            f"{n_parts} parts; upload more rows of it, drop it, or leave stratify out"
        )
        raise InvalidStudyError(msg, code="study.split")


def _check_training_target(table: Table, task: TaskName, train: np.ndarray[Any, Any]) -> None:
    target = table.target[train]
    if target.min() != target.max():
        return
    if not TASKS[task].has_classes:
        msg = (
            f"the target {table.profile.target!r} is {target[0]:g} in all {len(train)} training rows, so nothing can "
            "be learned; upload a target that varies"
        )
    else:
        msg = (
            f"all {len(train)} training rows are of class {table.profile.classes[int(target[0])]!r}; "
            "at least two classes are needed, so upload more rows or change the split"
        )
    raise InvalidStudyError(msg, code="study.split")
