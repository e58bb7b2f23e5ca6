"""EpochCallbacks: what happens at the end of each epoch of a fold: history, report, check whether to stop."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hpsearch.domain.trial import Measurement
from workers.training.engine.failures import StoppedError, UntrainableError
from workers.training.engine.seeds import data_order

Metrics = dict[str, float | None]


class EpochCallbacks:
    """Follows the epochs of one fold.

    Args:
        report: Takes each epoch's measurement.
        should_stop: Answers whether to drop the trial.
        epochs_before: Epochs of earlier folds: numbers run on.
        fold: Number of the fold from 1, to be reported; None without cross-validation.
        trial_seed: The trial's.
        data_order_seed: The study's.

    Attributes:
        history: Metrics of each epoch of this fold.
    """

    def __init__(
        self,
        *,
        report: Callable[[Measurement], None],
        should_stop: Callable[[], bool],
        epochs_before: int,
        fold: int | None,
        trial_seed: int,
        data_order_seed: int,
    ) -> None:
        self.history: list[Metrics] = []
        self._report = report
        self._should_stop = should_stop
        self._epochs_before = epochs_before
        self._fold = fold
        self._seeds = (trial_seed, data_order_seed)

    @property
    def epochs(self) -> int:
        """Epochs of the trial so far, earlier folds included."""
        return self._epochs_before + len(self.history)

    def next_order(self, n_rows: int) -> npt.NDArray[np.int64]:
        """Return the order of the coming epoch's rows, a permutation of range(n_rows)."""
        fold = 0 if self._fold is None else self._fold - 1
        trial_seed, order_seed = self._seeds
        return data_order(trial_seed, order_seed, fold=fold, epoch=len(self.history) + 1, n_rows=n_rows)

    def on_epoch_end(self, metrics: Metrics) -> None:
        """Take and report the metrics of the epoch that ends."""
        self.history.append(metrics)
        fold = {} if self._fold is None else {"fold": float(self._fold)}
        self._report(Measurement(epoch=self.epochs, metrics=metrics | fold))

    def check_stop(self) -> None:
        """Return when training may go on.

        Raises:
            StoppedError: It may not.
        """
        if self._should_stop():
            raise StoppedError


def check_objective(name: str, value: float | None) -> float:
    """Return the objective's value.

    Raises:
        UntrainableError: It is undefined.
    """
    if value is None:
        msg = f"{name} is undefined on the validation rows; choose another metric, or change the split"
        raise UntrainableError(msg)
    return value
