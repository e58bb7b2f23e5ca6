"""Imputation, standardisation and one-hot coding of one column: its statistics, fill value and categories."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hpsearch.domain.dataset import ColumnKind

if TYPE_CHECKING:
    from hpsearch.domain.dataset import Column

# A spread below this part of the largest magnitude is rounding noise of float64 (its spacing is 2.2e-16), not signal.
_NOISE: Final = 1e-14
# Between these magnitudes squares neither overflow nor vanish in float64.
_SAFE_LOW: Final = 1e-100
_SAFE_HIGH: Final = 1e100
_SAFE_DEVIATION: Final = 1e-140
_LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ColumnPlan:
    """How one column becomes `width` inputs.

    REAL and BINARY: (value - mean) / scale, or 0 throughout when scale is 0. CATEGORICAL: one input per category, then
    one for values that are none of them. Last, when `has_indicator`, one that is 1 where the value is missing.

    Attributes:
        name: Of the column.
        kind: Of the column.
        mean: Of the training rows for REAL; 0 for BINARY and CATEGORICAL.
        scale: Standard deviation for REAL, 1 for the others; 0 when REAL or BINARY is constant in the training rows.
        fill: Stands for a missing value: the mean for REAL, the most frequent value for BINARY and CATEGORICAL (the
            smallest of equals); None when a categorical column has no value at all in the training rows.
        has_indicator: Whether values were missing in the structure rows.
        categories: Sorted; empty unless CATEGORICAL.
    """

    name: str
    kind: ColumnKind
    mean: float
    scale: float
    fill: float | str | None
    has_indicator: bool
    categories: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many inputs the column becomes."""
        own = len(self.categories) + 1 if self.kind == ColumnKind.CATEGORICAL else 1
        return own + self.has_indicator


def fit_column(
    column: Column, values: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], structure: np.ndarray[Any, Any]
) -> ColumnPlan:
    """Return the plan of one column: statistics from `rows`, categories and indicator from `structure`."""
    if column.kind == ColumnKind.CATEGORICAL:
        return _fit_categorical(column.name, values, rows, structure)
    has_indicator = bool(column.n_missing) and bool(np.isnan(values[structure]).any())
    seen = values[rows]
    if column.n_missing:
        seen = seen[~np.isnan(seen)]
    mean, scale = moments(seen)
    if column.kind == ColumnKind.REAL:
        return ColumnPlan(column.name, column.kind, mean, scale, mean, has_indicator)
    # More ones than zeros: 1 is the most frequent.
    fill = float(mean > 1 - mean)
    return ColumnPlan(column.name, column.kind, 0.0, 1.0 if scale else 0.0, fill, has_indicator)


def _fit_categorical(
    name: str, values: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], structure: np.ndarray[Any, Any]
) -> ColumnPlan:
    present = set(values[structure])
    has_indicator = None in present
    counts = Counter(value for value in values[rows] if value is not None)
    fill = min(counts, key=lambda value: (-counts[value], value)) if counts else None
    categories = tuple(sorted((present | set(counts)) - {None}))
    return ColumnPlan(name, ColumnKind.CATEGORICAL, 0.0, 1.0, fill, has_indicator, categories)


def moments(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return mean and population standard deviation of float64 values without NaN; the deviation is 0 when constant.

    No finite input overflows or underflows on the way. No values at all give (0, 0).
    """
    if not len(values):
        return 0.0, 0.0
    low, high = float(values.min()), float(values.max())
    largest = max(abs(low), abs(high))
    # Halved, because the difference of two finite numbers may be infinite.
    if high / 2 - low / 2 <= _NOISE * largest / 2:
        return low, 0.0
    if _SAFE_LOW < largest < _SAFE_HIGH:
        mean = float(values.mean())
        deviation = float(values.std())
        if deviation > _SAFE_DEVIATION:
            return mean, deviation
    mean = float((values / largest).mean()) * largest
    half = values / 2 - mean / 2
    widest = float(np.abs(half).max())
    if not widest:
        return mean, 0.0
    return mean, float(np.sqrt(np.mean((half / widest) ** 2))) * widest * 2


def write_column(plan: ColumnPlan, values: np.ndarray[Any, Any], out: np.ndarray[Any, Any], position: int) -> None:
    """Write the inputs of one column.

    Args:
        plan: Of the column.
        values: (n,) raw values.
        out: (n, n_inputs) float32, zeros where this column goes.
        position: First input of the column.
    """
    if plan.kind == ColumnKind.CATEGORICAL:
        missing = _write_one_hot(plan, values, out, position)
    else:
        missing = np.isnan(values)
        if plan.scale:
            filled = np.where(missing, np.float64(plan.fill or 0.0), values) if missing.any() else values
            out[:, position] = _standardised(filled, plan.mean, plan.scale)
    if plan.has_indicator:
        out[:, position + plan.width - 1] = missing


def _standardised(values: np.ndarray[Any, Any], mean: float, scale: float) -> np.ndarray[Any, Any]:
    with np.errstate(over="ignore"):
        return np.clip((values - mean) / scale, -_LARGEST, _LARGEST)


def _write_one_hot(
    plan: ColumnPlan, values: np.ndarray[Any, Any], out: np.ndarray[Any, Any], position: int
) -> np.ndarray[Any, Any]:
    unknown = len(plan.categories)
    codes: dict[object, int] = {category: number for number, category in enumerate(plan.categories)}
    codes[None] = codes.get(plan.fill, unknown)
    number = np.fromiter((codes.get(value, unknown) for value in values), np.int64, len(values))
    out[np.arange(len(values)), position + number] = 1.0
    return np.asarray(values == None)  # noqa: E711 - elementwise over an object array
