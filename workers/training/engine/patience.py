"""Early stopping and learning-rate decay: Keras's `EarlyStopping` and `ReduceLROnPlateau` in plain arithmetic."""

from __future__ import annotations

from typing import Final

import numpy as np

from hpsearch.domain.objective import Objective
from hpsearch.domain.training import LrDecay
from workers.training.engine.numerics import DType
from workers.training.engine.schedule import Schedule

# Keras's own threshold for an improvement of the validation loss.
_PLATEAU_DELTA: Final = 1e-4


class Stopping:
    """Follows the objective of one member.

    Args:
        schedule: Of the trial.
        objective: Of the study.
        dtype: Of the weights.

    Attributes:
        best_epoch: From 1; 0 before the first epoch.
        is_best: Whether the last epoch was the best so far.
        is_over: Whether the objective has not improved for long enough.
    """

    def __init__(self, schedule: Schedule, objective: Objective, dtype: DType) -> None:
        rule = schedule.early_stopping
        self._patience = schedule.max_epochs + 1 if rule is None else rule.patience
        self._objective = objective
        # What an improvement must be beyond, added to the best value.
        self._delta = objective.gain(0.0 if rule is None else rule.min_delta, 0.0)
        # Keras compares in the type of its weights: a smaller change is none.
        self._type = np.dtype(dtype).type
        self._best: float | None = None
        self._waited = 0
        self.best_epoch = 0
        self.is_best = False
        self.is_over = False

    def epoch(self, number: int, value: float) -> None:
        """Take the objective of an epoch, numbered from 1."""
        self.is_best = self._best is None or self._is_better(value - self._delta, self._best)
        self._waited += 1
        if self.is_best:
            self._best, self.best_epoch, self._waited = value, number, 0
        self.is_over = not self.is_best and self._waited >= self._patience and number > 1

    def _is_better(self, left: float, right: float) -> bool:
        return self._objective.better(float(self._type(left)), float(self._type(right)))


class Rate:
    """The learning rate of one member, lowered when the validation loss stalls.

    Args:
        rate: At the start.
        rule: None keeps the rate.
        dtype: In which Keras would hold the rate.

    Attributes:
        value: Now, as the type holds it.
    """

    def __init__(self, rate: float, rule: LrDecay | None, dtype: DType) -> None:
        self._type = np.dtype(dtype).type
        self.value = float(self._type(rate))
        self._rule = rule
        self._best: float | None = None
        self._waited = 0

    @property
    def shown(self) -> float:
        """By its shortest text: 0.001, not the 0.0010000000474974513 that float32 makes of it."""
        return float(str(self._type(self.value)))

    def epoch(self, loss: float | None) -> None:
        """Take the validation loss of an epoch; one that is not known changes nothing."""
        if self._rule is None or loss is None:
            return
        if self._best is None or self._type(loss + _PLATEAU_DELTA) < self._type(self._best):
            self._best, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self._rule.patience and self.value > np.float32(self._rule.floor):
            self.value = float(self._type(max(self.value * self._rule.factor, self._rule.floor)))
            self._waited = 0
