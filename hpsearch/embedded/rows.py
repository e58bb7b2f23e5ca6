"""Frames as the tables that networks are trained on and asked about."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from hpsearch.data.reading.cells import plain_texts, read_cells
from hpsearch.data.reading.raw import RawColumns
from hpsearch.data.table import Table, table_of
from hpsearch.domain.dataset import ColumnKind, DatasetProfile
from hpsearch.errors import InvalidDatasetError
from hpsearch.ingest.describe import describe

if TYPE_CHECKING:
    import polars as pl

    from hpsearch.domain.task import TaskName


def training_table(frame: pl.DataFrame, target: str, task: TaskName) -> Table:
    """Return the rows as an upload of them would be stored.

    Args:
        frame: Inputs and target.
        target: Name of the target.
        task: What is predicted.

    Raises:
        InvalidDatasetError: The rows can not be used; the sentence names row and column where it can.
    """
    described = describe(RawColumns(frame, typed=True), target=target, task=task)
    digest = hashlib.sha256()
    for column in described.frame.iter_columns():
        digest.update(column.hash(seed=0).to_numpy().tobytes())
    return table_of(described.frame, described.profile, digest.hexdigest())


def table_to_ask(frame: pl.DataFrame, profile: DatasetProfile) -> Table:
    """Return rows without a target as a table of the profile's columns.

    Raises:
        InvalidDatasetError: A column is missing, or holds texts where the network reads numbers.
    """
    import polars as pl

    columns: dict[str, np.ndarray[Any, Any]] = {}
    for column in profile.columns:
        if column.name not in frame.columns:
            msg = f"the data lack the column {column.name!r}; add it, under this name"
            raise InvalidDatasetError(msg, code="predict.missing_columns")
        series = frame[column.name]
        if column.kind == ColumnKind.CATEGORICAL:
            texts = plain_texts(series.cast(pl.String), typed=True)
            columns[column.name] = np.asarray(texts.to_numpy(), dtype=object)
            continue
        cells = read_cells(series, typed=True)
        if cells.form == "text":
            msg = f"column {column.name!r} holds texts, but the network reads numbers there"
            raise InvalidDatasetError(msg, code="predict.not_a_number")
        numbers = cells.values.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        columns[column.name] = numbers.astype(np.float32).astype(np.float64)
    return Table(profile, columns, np.zeros(frame.height), frame.height, "")
