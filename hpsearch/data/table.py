"""A data set in memory: numpy columns and target as read from the stored Parquet content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.domain.dataset import ColumnKind
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from hpsearch.domain.dataset import DatasetProfile


@dataclass(frozen=True)
class Table:
    """All rows of a data set.

    Attributes:
        profile: Columns, kinds, classes.
        columns: By name. REAL and BINARY: (n_rows,) float64, NaN where missing. CATEGORICAL: (n_rows,) object of
            str, None where missing.
        target: (n_rows,) int64 class codes in the order of `profile.classes`, or (n_rows,) float64.
        n_rows: Rows.
        digest: SHA-256 of the stored content, in hex.
    """

    profile: DatasetProfile
    columns: dict[str, np.ndarray[Any, Any]]
    target: np.ndarray[Any, Any]
    n_rows: int
    digest: str


def read_table(path: Path, profile: DatasetProfile, digest: str) -> Table:
    """Return the stored content as numpy columns.

    Args:
        path: Parquet file whose columns are those of the profile in its order, the target last.
        profile: Of the same content.
        digest: SHA-256 of the content, in hex; taken as given, not checked again.

    Raises:
        InvalidDatasetError: The file is not Parquet or does not hold what the profile says.
    """
    import polars as pl

    names = [column.name for column in profile.columns] + [profile.target]
    try:
        with path.open("rb") as file:
            frame = pl.read_parquet(file)
    except pl.exceptions.PolarsError as error:
        msg = f"the stored data set {digest[:12]} can not be read as Parquet; upload it again"
        raise InvalidDatasetError(msg, code="dataset.damaged") from error
    if frame.columns != names or frame.height != profile.n_rows:
        msg = (
            f"the stored data set {digest[:12]} does not match its profile: it has {frame.height} rows and "
            f"{frame.width} columns, expected {profile.n_rows} and {len(names)}; upload it again"
        )
        raise InvalidDatasetError(msg, code="dataset.damaged")
    return table_of(frame, profile, digest)


def table_of(frame: pl.DataFrame, profile: DatasetProfile, digest: str) -> Table:
    """Return a frame in the stored form as numpy columns.

    Args:
        frame: With the columns of the profile and its target.
        profile: Of the same content.
        digest: Of the content, in hex; taken as given.
    """
    columns = {column.name: _values(frame[column.name], column.kind) for column in profile.columns}
    return Table(profile, columns, _target(frame[profile.target], profile), frame.height, digest)


def _values(series: pl.Series, kind: ColumnKind) -> np.ndarray[Any, Any]:
    import polars as pl

    if kind == ColumnKind.CATEGORICAL:
        return np.asarray(series.cast(pl.String).to_numpy(), dtype=object)
    return np.asarray(series.cast(pl.Float64).to_numpy(), dtype=np.float64)


def _target(series: pl.Series, profile: DatasetProfile) -> np.ndarray[Any, Any]:
    import polars as pl

    if not profile.classes:
        return np.asarray(series.cast(pl.Float64).to_numpy(), dtype=np.float64)
    codes = series.cast(pl.String).cast(pl.Enum(list(profile.classes)), strict=False).to_physical()
    if codes.null_count():
        msg = f"the stored target {profile.target!r} holds labels its profile does not list; upload the data set again"
        raise InvalidDatasetError(msg, code="dataset.damaged")
    return np.asarray(codes.cast(pl.Int64).to_numpy(), dtype=np.int64)
