"""Label encoding and the inferred task of a target column, and whether anything can be learned from it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hpsearch.data.column_plan import moments
from hpsearch.data.reading.cells import Cells, read_cells
from hpsearch.data.reading.limits import MAX_CLASSES, MAX_TEXT_LENGTH
from hpsearch.data.target_for_task import number_label
from hpsearch.domain.task import TASKS, task_for
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    import polars as pl

    from hpsearch.data.reading.raw import RawColumns
    from hpsearch.domain.task import TaskName

# Whole numbers of at most this many values are taken for class labels unless a task is given.
MAX_NUMERIC_CLASSES: Final = 20
_LISTED: Final = 10


@dataclass(frozen=True)
class Target:
    """The target, ready to be stored.

    Attributes:
        values: Text labels for classification, float64 for regression; no nulls.
        task: Given or inferred.
        classes: Labels in the order of the outputs; empty for regression.
        counts: Rows of each class.
        mean: None for classification.
        std: None for classification.
        warnings: One sentence each.
    """

    values: pl.Series
    task: TaskName
    classes: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    mean: float | None = None
    std: float | None = None
    warnings: list[str] = field(default_factory=list)


def target_name(raw: RawColumns, asked: str | None) -> tuple[str, list[str]]:
    """Return the name of the target column, and warnings.

    Raises:
        InvalidDatasetError: The column asked for does not exist.
    """
    names = raw.frame.columns
    if asked is None:
        if raw.target is not None:
            return raw.target, []
        return names[-1], [f"no target was named, so the last column {names[-1]!r} was taken"]
    if asked in names:
        return asked, []
    near = difflib.get_close_matches(asked, names, n=1)
    more = " …" if len(names) > _LISTED else ""
    hint = f"did you mean {near[0]!r}?" if near else f"its columns are {', '.join(names[:_LISTED])}{more}"
    msg = f"the target {asked[:80]!r} is not a column of the file; {hint}"
    raise InvalidDatasetError(msg, code="dataset.target")


def read_target(series: pl.Series, *, typed: bool, task: TaskName | None, classes: tuple[str, ...] = ()) -> Target:
    """Return the target read for a task.

    Texts and truth values are classes; so are at most 20 distinct whole numbers of which one at least repeats; other
    numbers are regressed on. Two classes make the task binary, and the second of them is the positive one. Labels are
    sorted: as numbers when all are numbers, else as texts.

    Args:
        series: The column as read.
        typed: Whether the file says what is a number.
        task: Overrides the inference; None infers.
        classes: The labels in their order where known; sorted when left out.

    Raises:
        InvalidDatasetError: A value is missing, there is one class or value only, too many classes, or the target
            does not fit the task.
    """
    cells = read_cells(series, typed=typed)
    for row in cells.values.is_null().arg_true().head(1):
        msg = (
            f"row {row + 1} has no value for the target {series.name!r} ({cells.values.null_count():,} rows in all); "
            "fill it in or leave the row out"
        )
        raise InvalidDatasetError(msg, code="dataset.target_missing", details={"row": row + 1, "column": series.name})
    if task is None and cells.form == "number" and not _are_labels(cells.values):
        task = task_for(0).name
    if task is None or TASKS[task].has_classes:
        return _classes(cells, task, classes)
    return _numbers(cells, task)


def _are_labels(values: pl.Series) -> bool:
    distinct = values.n_unique()
    return distinct <= MAX_NUMERIC_CLASSES and distinct < len(values) and bool((values.floor() == values).all())


def _numbers(cells: Cells, task: TaskName) -> Target:
    values = cells.values
    if cells.form == "text":
        msg = (
            f"the task is {task} but the target {values.name!r} holds texts such as {values[0][:40]!r}; "
            "name a numeric target"
        )
        raise InvalidDatasetError(msg, code="dataset.target")
    mean, std = moments(values.to_numpy())
    if std == 0:
        msg = (
            f"the target {values.name!r} is {values[0]:g} in every row, so there is nothing to learn; name another one"
        )
        raise InvalidDatasetError(msg, code="dataset.one_class")
    warnings = [cells.warning] if cells.warning else []
    return Target(values, task, mean=mean, std=std, warnings=warnings)


def _classes(cells: Cells, task: TaskName | None, order: tuple[str, ...]) -> Target:
    labels = _as_labels(cells)
    name = labels.name
    counted = dict(labels.value_counts().rows())
    classes = order or tuple(_sorted_labels(list(counted)))
    if len(classes) == 1:
        msg = f"all {len(labels):,} rows have the target {classes[0]!r}; at least two classes are needed"
        raise InvalidDatasetError(msg, code="dataset.one_class")
    if len(classes) > min(MAX_CLASSES, max(MAX_NUMERIC_CLASSES, len(labels) // 2)):
        msg = (
            f"the target {name!r} has {len(classes):,} distinct labels in {len(labels):,} rows, at most "
            f"{MAX_CLASSES:,} classes and half of the rows are taken; name another target"
        )
        raise InvalidDatasetError(msg, code="dataset.target")
    if task is not None and TASKS[task].n_classes not in (None, len(classes)):
        msg = (
            f"the task is {task} but the target {name!r} has {len(classes)} classes; "
            f"choose {task_for(len(classes)).name}"
        )
        raise InvalidDatasetError(msg, code="dataset.target")
    counts = tuple(int(counted.get(label, 0)) for label in classes)
    inferred = task_for(len(classes)).name
    return Target(labels, task or inferred, classes, counts, warnings=[cells.warning] if cells.warning else [])


def _as_labels(cells: Cells) -> pl.Series:
    import polars as pl

    values = cells.values
    if cells.form == "truth":
        return (values == 1).cast(pl.String)
    if cells.form == "number":
        distinct = values.unique()
        labels = pl.Series([number_label(value) for value in distinct], dtype=pl.String)
        return values.replace_strict(distinct, labels, return_dtype=pl.String)
    for row in (values.str.len_chars() > MAX_TEXT_LENGTH).arg_true().head(1):
        msg = (
            f"row {row + 1} of the target {values.name!r} has more than {MAX_TEXT_LENGTH} characters; "
            "expected a class label"
        )
        raise InvalidDatasetError(msg, code="dataset.target")
    return values


def _sorted_labels(labels: list[str]) -> list[str]:
    try:
        return sorted(labels, key=lambda label: (float(label), label))
    except ValueError:
        return sorted(labels)
