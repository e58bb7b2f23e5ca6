"""Type inference and the profile of a data set: from columns as read to the columns that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hpsearch.data.column_plan import moments
from hpsearch.data.reading.cells import read_cells
from hpsearch.data.reading.limits import MAX_CATEGORIES, MAX_PREPARED_CELLS, MAX_TEXT_LENGTH, MIN_ROWS
from hpsearch.domain.dataset import Column, ColumnKind, DatasetProfile
from hpsearch.errors import InvalidDatasetError
from hpsearch.ingest.data_warnings import data_warnings
from hpsearch.ingest.target import Target, read_target, target_name

if TYPE_CHECKING:
    import polars as pl

    from hpsearch.data.reading.cells import Cells
    from hpsearch.data.reading.raw import RawColumns
    from hpsearch.domain.task import TaskName

# Up to this many texts a column is categorical however few rows there are.
_FEW: Final = 20


@dataclass(frozen=True)
class Described:
    """What will be stored.

    Attributes:
        frame: Inputs in profile order, the target last. REAL and BINARY as float64, CATEGORICAL and class labels as
            texts, null where missing.
        profile: Of the frame.
    """

    frame: pl.DataFrame
    profile: DatasetProfile


def describe(
    raw: RawColumns, *, target: str | None = None, task: TaskName | None = None, classes: tuple[str, ...] = ()
) -> Described:
    """Return the stored form of a file and its profile.

    Columns without any value, and text columns that are no categories (more than 1,000 distinct texts, or distinct in
    more than half of their rows, or longer than 200 characters), are left out with a warning.

    Args:
        raw: As read.
        target: Name of the target; None takes the one the file marks, else the last column.
        task: Overrides the inference from the target.
        classes: Class labels in their order, where known.

    Raises:
        InvalidDatasetError: The sentence names row and column where it can.
    """
    import polars as pl

    if raw.frame.height < MIN_ROWS:
        msg = f"the file has {raw.frame.height} row, expected at least {MIN_ROWS}; send more rows"
        raise InvalidDatasetError(msg, code="dataset.empty")
    name, warnings = target_name(raw, target)
    goal = read_target(raw.frame[name], typed=raw.typed, task=task, classes=classes)
    columns: list[Column] = []
    series: list[pl.Series] = []
    notes: list[str] = []
    for source in raw.frame.drop(name).iter_columns():
        cells = read_cells(source, typed=raw.typed)
        reason = _reason_to_leave_out(cells)
        if reason is not None:
            notes.append(f"column {source.name!r} was left out: {reason}")
            continue
        notes.extend([cells.warning] if cells.warning else [])
        columns.append(_column(cells))
        series.append(cells.values.alias(source.name))
    _check_width(columns, raw.frame.height)
    frame = pl.DataFrame([*series, goal.values.alias(name)]).rechunk()
    found = [*raw.warnings, *warnings, *goal.warnings, *notes, *data_warnings(frame, columns, goal)]
    return Described(frame, _profile(columns, name, goal, raw.frame.height, found))


def _reason_to_leave_out(cells: Cells) -> str | None:
    if cells.form == "empty":
        return "it has no value in any row"
    if cells.form != "text":
        return None
    longest = cells.values.str.len_chars().max()
    if isinstance(longest, int) and longest > MAX_TEXT_LENGTH:
        return f"it holds texts of up to {longest:,} characters, which are no categories"
    n_present = len(cells.values) - cells.values.null_count()
    n_distinct = cells.values.drop_nulls().n_unique()
    if n_distinct > MAX_CATEGORIES or (n_distinct > _FEW and n_distinct > n_present / 2):
        return (
            f"it holds {n_distinct:,} distinct texts in {n_present:,} rows, which are names or free text rather than "
            f"categories; group them into at most {MAX_CATEGORIES:,} to use it"
        )
    return None


def _column(cells: Cells) -> Column:
    values = cells.values
    name, n_missing = values.name, values.null_count()
    distinct = values.drop_nulls().unique() if cells.form == "text" else None
    if distinct is not None:
        categories = tuple(sorted(distinct.to_list()))
        return Column(
            name=name,
            kind=ColumnKind.CATEGORICAL,
            n_missing=n_missing,
            n_unique=len(categories),
            categories=categories,
        )
    present = values.drop_nulls()
    n_unique = present.n_unique()
    numbers = present.to_numpy()
    low, high = float(numbers.min()), float(numbers.max())
    mean, std = moments(numbers)
    zero_one = n_unique == 2 and (low, high) == (0.0, 1.0)  # noqa: PLR2004 - 0 and 1
    return Column(
        name=name,
        kind=ColumnKind.BINARY if zero_one else ColumnKind.REAL,
        n_missing=n_missing,
        n_unique=n_unique,
        minimum=low,
        maximum=high,
        mean=mean,
        std=std,
    )


def _check_width(columns: list[Column], n_rows: int) -> None:
    if not columns:
        msg = "the file has no usable input column beside the target; send at least one with numbers or categories"
        raise InvalidDatasetError(msg, code="dataset.no_inputs")
    n_inputs = sum(column.width for column in columns)
    if n_rows * n_inputs > MAX_PREPARED_CELLS:
        widest = max(columns, key=lambda column: column.width)
        msg = (
            f"{n_rows:,} rows become {n_inputs:,} inputs each, more than {MAX_PREPARED_CELLS:,} numbers in all; "
            f"leave out rows or columns, such as {widest.name!r}, which alone becomes {widest.width:,} inputs"
        )
        raise InvalidDatasetError(msg, code="dataset.too_large")


def _profile(columns: list[Column], name: str, goal: Target, n_rows: int, warnings: list[str]) -> DatasetProfile:
    return DatasetProfile(
        n_rows=n_rows,
        columns=tuple(columns),
        target=name,
        task=goal.task,
        classes=goal.classes,
        class_counts=goal.counts,
        target_mean=goal.mean,
        target_std=goal.std,
        warnings=tuple(warnings),
    )
