"""The metrics of each task: their names, the better direction and the values they can take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

Task = Literal["multiclass", "binary", "regression"]
Direction = Literal["minimize", "maximize"]
TASKS: Final[tuple[Task, ...]] = ("multiclass", "binary", "regression")


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


_LOSS = Metric("loss", "minimize", 0.0, math.inf)
_ACCURACY = Metric("accuracy", "maximize", 0.0, 1.0)
_BALANCED = Metric("balanced_accuracy", "maximize", 0.0, 1.0)
_F1_MACRO = Metric("f1_macro", "maximize", 0.0, 1.0)
_ROC_AUC = Metric("roc_auc", "maximize", 0.0, 1.0)

METRICS: Final[dict[Task, dict[str, Metric]]] = {
    "multiclass": {m.name: m for m in (_LOSS, _ACCURACY, _BALANCED, _F1_MACRO, _ROC_AUC)},
    "binary": {
        m.name: m for m in (_LOSS, _ACCURACY, _BALANCED, Metric("f1", "maximize", 0.0, 1.0), _F1_MACRO, _ROC_AUC)
    },
    "regression": {
        m.name: m
        for m in (
            _LOSS,
            Metric("mse", "minimize", 0.0, math.inf),
            Metric("rmse", "minimize", 0.0, math.inf),
            Metric("mae", "minimize", 0.0, math.inf),
            Metric("r2", "maximize", -math.inf, 1.0),
        )
    },
}

DEFAULT_METRIC: Final[dict[Task, str]] = {"multiclass": "accuracy", "binary": "accuracy", "regression": "mse"}
KNOWN_METRICS: Final = frozenset(name for metrics in METRICS.values() for name in metrics)


def direction_of(metric: str) -> Direction:
    """Return the better direction of a known metric; every task agrees on it."""
    return next(metrics[metric].direction for metrics in METRICS.values() if metric in metrics)
