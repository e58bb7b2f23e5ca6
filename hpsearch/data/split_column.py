"""Rows divided by a column of the user's own that says train, validation or test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from hpsearch.domain.dataset import ColumnKind
from hpsearch.errors import InvalidStudyError

if TYPE_CHECKING:
    from hpsearch.data.table import Table

Part = Literal["train", "validation", "test"]

PART_OF_LABEL: Final[dict[str, Part]] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def rows_by_column(table: Table, name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return the train, validation and test row numbers, int64 and sorted; test may be empty.

    Upper and lower case and surrounding blanks of the labels do not count; `valid`, `val`, `dev`, `training` and
    `testing` are understood.

    Raises:
        InvalidStudyError: No such column, a label that is none of these, a row without one, or no row to train on or
            to validate with.
    """
    parts = _parts_of_labels(table, name)
    values = table.columns[name]
    for row in np.flatnonzero(values == None)[:1]:  # noqa: E711 - elementwise over an object array
        msg = f"row {row + 1} has no value in the split column {name!r}; expected train, validation or test"
        raise InvalidStudyError(msg, code="study.split")
    chosen = np.array([parts[value] for value in values])
    train, validation, test = (np.flatnonzero(chosen == part) for part in ("train", "validation", "test"))
    for part, rows in (("train", train), ("validation", validation)):
        if not len(rows):
            msg = f"the split column {name!r} marks no row as {part}; mark some, or split by fraction or folds"
            raise InvalidStudyError(msg, code="study.split")
    return train, validation, test


def _parts_of_labels(table: Table, name: str) -> dict[str, Part]:
    column = next((column for column in table.profile.columns if column.name == name), None)
    if column is None:
        known = [column.name for column in table.profile.columns if column.kind == ColumnKind.CATEGORICAL]
        hint = f"its text columns are {', '.join(known[:10])}" if known else "it has no text column"
        msg = f"split.column names {name!r}, which is not an input column of the data; {hint}"
        raise InvalidStudyError(msg, code="study.split")
    if column.kind != ColumnKind.CATEGORICAL:
        msg = f"the split column {name!r} holds numbers; expected the words train, validation and test"
        raise InvalidStudyError(msg, code="study.split")
    parts = {}
    for label in column.categories:
        part = PART_OF_LABEL.get(label.strip().lower())
        if part is None:
            msg = f"the split column {name!r} holds {label!r}; expected train, validation or test"
            raise InvalidStudyError(msg, code="study.split")
        parts[label] = part
    return parts
