"""Target leakage: whether a single column gives the target away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpsearch.domain.dataset import Column, ColumnKind
from hpsearch.domain.task import TASKS

if TYPE_CHECKING:
    import polars as pl

    from hpsearch.ingest.target import Target

# Enough to tell; the whole of a large set would cost seconds.
_SAMPLE: Final = 20_000
_MIN_ROWS: Final = 20
_CORRELATION: Final = 0.9999


def leakage_warnings(frame: pl.DataFrame, columns: list[Column], target: Target) -> list[str]:
    """Return a sentence for each column that determines the target alone.

    For classes: each value of the column occurs with one class only though values repeat, or thresholds on it separate
    the classes. For numbers: a correlation above 0.9999. Up to 20,000 rows, evenly spaced, are looked at.
    """
    if frame.height < _MIN_ROWS:
        return []
    step = -(-frame.height // _SAMPLE)
    sample = frame.gather_every(step)
    goal = _goal(sample.to_series(sample.width - 1), target)
    names = [column.name for column in columns if _gives_away(sample[column.name], column, goal, target)]
    return [
        f"column {name} alone determines the target; leave it out if it is not known when predicting"
        for name in names[:5]
    ]


def _goal(series: pl.Series, target: Target) -> np.ndarray[Any, Any]:
    import polars as pl

    if not TASKS[target.task].has_classes:
        return np.asarray(series.to_numpy())
    return np.asarray(series.cast(pl.Enum(list(target.classes))).to_physical().to_numpy())


def _gives_away(values: pl.Series, column: Column, goal: np.ndarray[Any, Any], target: Target) -> bool:
    present = values.is_not_null().to_numpy()
    if column.n_unique < 2 or present.sum() < _MIN_ROWS:  # noqa: PLR2004 - a constant says nothing
        return False
    goal = goal[present]
    if column.kind == ColumnKind.CATEGORICAL:
        codes = np.unique(values.drop_nulls().to_numpy(), return_inverse=True)[1].astype(np.float64)
    else:
        codes = values.drop_nulls().to_numpy()
    if not TASKS[target.task].has_classes:
        return column.kind != ColumnKind.CATEGORICAL and _correlated(codes, goal)
    if len(np.unique(goal)) < 2:  # noqa: PLR2004
        return False
    order = np.lexsort((goal, codes))
    codes, goal = codes[order], goal[order]
    new_value = codes[1:] != codes[:-1]
    new_class = goal[1:] != goal[:-1]
    if (new_class & ~new_value).any():
        return False
    n_values, n_classes = int(new_value.sum()) + 1, len(np.unique(goal))
    # Values that repeat and never disagree, or runs of one class each.
    return n_values <= len(goal) / 2 or (column.kind == ColumnKind.REAL and int(new_class.sum()) == n_classes - 1)


def _correlated(values: np.ndarray[Any, Any], goal: np.ndarray[Any, Any]) -> bool:
    with np.errstate(all="ignore"):
        left, right = values - values.mean(), goal - goal.mean()
        strength = abs(float((left * right).sum())) / float(np.sqrt((left**2).sum() * (right**2).sum()) or np.inf)
    return strength > _CORRELATION
