"""The metrics: their names, the better direction and the values they can take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Metric:
    """One metric of the validation split.

    Attributes:
        name: As in definitions, measurements and leaderboards.
        direction: Which way is better.
        low: Smallest possible value; may be minus infinity.
        high: Largest possible value; may be infinity.
    """

    name: str
    direction: Direction
    low: float
    high: float

    def admits(self, value: float) -> bool:
        """Return whether the metric can take the value: finite, and within bounds but for rounding."""
        return math.isfinite(value) and self.low - 1e-6 <= value <= self.high + 1e-6


def _error(name: str) -> Metric:
    return Metric(name, "minimize", 0.0, math.inf)


def _share(name: str) -> Metric:
    return Metric(name, "maximize", 0.0, 1.0)


_LOSS, _ACCURACY, _BALANCED = _error("loss"), _share("accuracy"), _share("balanced_accuracy")
_F1, _F1_MACRO, _ROC_AUC = _share("f1"), _share("f1_macro"), _share("roc_auc")

# What the tasks are judged by, in the order in which it is shown.
MULTICLASS_METRICS: Final = (_LOSS, _ACCURACY, _BALANCED, _F1_MACRO, _ROC_AUC)
BINARY_METRICS: Final = (_LOSS, _ACCURACY, _BALANCED, _F1, _F1_MACRO, _ROC_AUC)
REGRESSION_METRICS: Final = (
    _LOSS,
    _error("mse"),
    _error("rmse"),
    _error("mae"),
    Metric("r2", "maximize", -math.inf, 1.0),
)

# By name; a metric means the same, and has the same direction, for every task that has it.
KNOWN_METRICS: Final = {metric.name: metric for metric in (*BINARY_METRICS, *MULTICLASS_METRICS, *REGRESSION_METRICS)}


def direction_of(metric: str) -> Direction:
    """Return the better direction of a known metric."""
    return KNOWN_METRICS[metric].direction
