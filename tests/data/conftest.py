"""Small tables built from plain Python columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hpsearch.data.table import Table
from hpsearch.domain.dataset import Column, ColumnKind, DatasetProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpsearch.domain.task import TaskName

DIGEST = "0f" * 32


def build_table(
    columns: dict[str, Sequence[Any]],
    target: Sequence[Any],
    *,
    digest: str = DIGEST,
    binary: frozenset[str] = frozenset(),
) -> Table:
    """Return a table: lists with text are CATEGORICAL, others REAL or BINARY; a target of text or ints is classes."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    described = []
    for name, raw in columns.items():
        values = list(raw)
        missing = sum(value is None for value in values)
        if any(isinstance(value, str) for value in values):
            arrays[name] = np.array(values, dtype=object)
            categories = tuple(sorted({value for value in values if value is not None}))
            described.append(Column(name=name, kind=ColumnKind.CATEGORICAL, n_missing=missing, categories=categories))
        else:
            arrays[name] = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
            kind = ColumnKind.BINARY if name in binary else ColumnKind.REAL
            described.append(Column(name=name, kind=kind, n_missing=missing))
    labels = list(target)
    task: TaskName = "regression"
    classes: tuple[str, ...] = ()
    codes = np.array(labels, dtype=np.float64) if not isinstance(labels[0], str) else np.empty(0)
    if isinstance(labels[0], str):
        classes = tuple(sorted(set(labels)))
        task = "binary" if len(classes) == 2 else "multiclass"
        codes = np.array([classes.index(label) for label in labels], dtype=np.int64)
    profile = DatasetProfile(n_rows=len(labels), columns=tuple(described), target="y", task=task, classes=classes)
    return Table(profile, arrays, codes, len(labels), digest)


@pytest.fixture
def table_of() -> Callable[..., Table]:
    """Return the builder."""
    return build_table
