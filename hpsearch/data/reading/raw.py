"""What a reader hands on: columns as the file holds them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpsearch.data.reading.limits import MAX_CELLS, MAX_COLUMNS, MAX_NAME_LENGTH, MAX_ROWS
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class RawColumns:
    """A file, read but not yet interpreted.

    Attributes:
        frame: All columns in the order of the file.
        typed: Whether the file says which columns are numbers (Parquet, NPZ) or all are text (CSV).
        target: The column the file itself marks as target, such as `y` of an NPZ; None when it marks none.
        warnings: One sentence each.
    """

    frame: pl.DataFrame
    typed: bool
    target: str | None = None
    warnings: list[str] = field(default_factory=list)


def check_shape(n_rows: int, n_columns: int) -> None:
    """Return when a file of this shape may be read.

    Raises:
        InvalidDatasetError: Too many rows, columns or cells.
    """
    for n, limit, what in ((n_rows, MAX_ROWS, "rows"), (n_columns, MAX_COLUMNS, "columns")):
        if n > limit:
            msg = f"the file has {n:,} {what}, at most {limit:,} are taken; leave some out"
            raise InvalidDatasetError(msg, code="dataset.too_large")
    if n_rows * n_columns > MAX_CELLS:
        msg = (
            f"the file has {n_rows:,} rows of {n_columns:,} columns, {n_rows * n_columns:,} cells in all; "
            f"at most {MAX_CELLS:,} are taken, so leave out rows or columns"
        )
        raise InvalidDatasetError(msg, code="dataset.too_large")


def check_names(names: list[str]) -> None:
    """Return when the column names can be used.

    Raises:
        InvalidDatasetError: A name is empty, too long, holds control characters, or occurs twice.
    """
    for position, name in enumerate(names, start=1):
        if not name or len(name) > MAX_NAME_LENGTH or not name.isprintable():
            msg = (
                f"the name of column {position}, {name[:40]!r}, can not be used; "
                f"expected 1 to {MAX_NAME_LENGTH} printable characters"
            )
            raise InvalidDatasetError(msg, code="dataset.column_name")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        msg = f"the column name {twice[0]!r} occurs {names.count(twice[0])} times; give each column a name of its own"
        raise InvalidDatasetError(msg, code="dataset.column_name")
