"""Stored content is read back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from hpsearch.data.table import read_table
from hpsearch.domain.dataset import Column, ColumnKind, DatasetProfile
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    from pathlib import Path

PROFILE = DatasetProfile(
    n_rows=3,
    columns=(
        Column(name="x", kind=ColumnKind.REAL, n_missing=1),
        Column(name="c", kind=ColumnKind.CATEGORICAL, n_missing=1, categories=("p", "q")),
    ),
    target="y",
    task="multiclass",
    classes=("2", "10", "z"),
)


def test_columns_and_class_codes(tmp_path: Path) -> None:
    path = tmp_path / "[odd]*.parquet"
    frame = pl.DataFrame({"x": [1.0, None, 3.0], "c": ["q", None, "p"], "y": ["10", "2", "z"]})
    frame.write_parquet(path)
    table = read_table(path, PROFILE, "ab")
    assert table.columns["x"].dtype == np.float64
    assert np.array_equal(table.columns["x"], [1.0, np.nan, 3.0], equal_nan=True)
    assert table.columns["c"].tolist() == ["q", None, "p"]
    assert table.target.tolist() == [1, 0, 2]
    assert (table.target.dtype, table.n_rows, table.digest) == (np.int64, 3, "ab")


def test_content_that_does_not_match_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    pl.DataFrame({"x": [1.0], "c": ["q"], "y": ["10"]}).write_parquet(path)
    with pytest.raises(InvalidDatasetError, match="does not match its profile"):
        read_table(path, PROFILE, "ab")
    pl.DataFrame({"x": [1.0] * 3, "c": ["q"] * 3, "y": ["10", "2", "surprise"]}).write_parquet(path)
    with pytest.raises(InvalidDatasetError, match="labels its profile does not list"):
        read_table(path, PROFILE, "ab")
    path.write_bytes(b"not parquet")
    with pytest.raises(InvalidDatasetError, match="can not be read as Parquet"):
        read_table(path, PROFILE, "ab")
