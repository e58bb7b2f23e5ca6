"""Reading the inputs of a trained model from a data file, column by column as the model knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.data.reading.cells import plain_texts, read_cells
from hpsearch.data.reading.open_file import read_file
from hpsearch.data.target_for_task import number_label
from hpsearch.domain.dataset import ColumnKind
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import polars as pl


def read_inputs(path: Path, kinds: Mapping[str, ColumnKind]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the columns of a CSV, Parquet or NPZ file as the columns of a `Table` would be.

    Args:
        path: The file; it may hold more columns, such as the target, and may lack a target.
        kinds: The columns wanted and how each was read in training.

    Returns:
        By name. REAL and BINARY: (n_rows,) float64, NaN where missing. CATEGORICAL: (n_rows,) object of str, None where
        missing.

    Raises:
        InvalidDatasetError: The file can not be read, lacks a column, or holds texts where the model knows numbers.
    """
    raw = read_file(path, known=frozenset(kinds), needs_target=False)
    absent = [name for name in kinds if name not in raw.frame.columns]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        msg = (
            f"the file has no column {absent[0]!r}{more}, which the model was trained on; "
            f"its columns are {', '.join(raw.frame.columns[:10])}"
        )
        raise InvalidDatasetError(msg, code="dataset.column_missing")
    return {
        name: _texts(raw.frame[name], typed=raw.typed)
        if kind == ColumnKind.CATEGORICAL
        else _numbers(raw.frame[name], typed=raw.typed)
        for name, kind in kinds.items()
    }


def _numbers(series: pl.Series, *, typed: bool) -> np.ndarray[Any, Any]:
    cells = read_cells(series, typed=typed)
    if cells.form == "text":
        numbers = cells.values.cast(float, strict=False)
        row = int((cells.values.is_not_null() & numbers.is_null()).arg_true()[0])
        msg = (
            f"row {row + 1} of column {series.name!r} holds {str(cells.values[row])[:40]!r}; "
            "the model was trained on numbers, so correct it or leave the cell empty"
        )
        raise InvalidDatasetError(msg, code="dataset.mixed_column", details={"row": row + 1, "column": series.name})
    return np.asarray(cells.values.to_numpy(), dtype=np.float64)


def _texts(series: pl.Series, *, typed: bool) -> np.ndarray[Any, Any]:
    import polars as pl

    if series.dtype.is_numeric():
        labels = [None if value is None or value != value else number_label(value) for value in series.to_list()]  # noqa: PLR0124 - NaN
        series = pl.Series(series.name, labels, dtype=pl.String)
    texts = plain_texts(series.cast(pl.String), typed=typed)
    return np.asarray(texts.to_numpy(), dtype=object)
