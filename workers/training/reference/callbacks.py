"""Keras callbacks at the end of each epoch: measure, notice divergence, report, check whether to stop."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from workers.training.engine.epoch_callbacks import EpochCallbacks, Metrics, check_objective
from workers.training.engine.failures import DivergedError
from workers.training.reference.batches import BatchStream
from workers.training.reference.evaluator import Evaluator


class MeasureEpoch(keras.callbacks.Callback):
    """First callback of an epoch's end: adds the held-out metrics to Keras's logs as `val_…`.

    Args:
        callbacks: Receives the metrics.
        stream: Whose order is set at the start of each epoch.
        evaluator: Scores held-out rows; None when there are none.
        objective: Metric that must be defined; None when there are no held-out rows.
    """

    def __init__(
        self, callbacks: EpochCallbacks, stream: BatchStream, evaluator: Evaluator | None, objective: str | None
    ) -> None:
        super().__init__()
        self._callbacks = callbacks
        self._stream = stream
        self._evaluator = evaluator
        self._objective = objective

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Shuffle."""
        del epoch, logs
        self._stream.set_order(self._callbacks.next_order(self._stream.n_rows))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure.

        Raises:
            DivergedError: Loss, weights or predictions are not finite; the epoch has been reported.
            UntrainableError: The objective is undefined on these rows.
        """
        del epoch
        logs = {} if logs is None else logs
        train_loss = float(logs["loss"])
        # By its shortest text: 0.001, not the 0.0010000000474974513 that float32 makes of it.
        rate = float(str(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))
        metrics: Metrics = {"train_loss": train_loss if math.isfinite(train_loss) else None, "learning_rate": rate}
        predictions = None if self._evaluator is None else self._evaluator.predictions(self.model)
        if self._evaluator is not None and predictions is not None:
            metrics = self._evaluator.score(predictions) | metrics
        self._callbacks.on_epoch_end(metrics)
        trouble = self._trouble(train_loss, predictions)
        if trouble is not None:
            msg = f"{trouble} after epoch {len(self._callbacks.history)}"
            raise DivergedError(msg, self._callbacks.epochs)
        if self._objective is None:
            return
        check_objective(self._objective, metrics[self._objective])
        logs.update({f"val_{name}": value for name, value in metrics.items() if value is not None})

    def _trouble(self, train_loss: float, predictions: object) -> str | None:
        if not math.isfinite(train_loss):
            return f"the training loss was {train_loss}"
        if not _finite_weights(self.model):
            return "a weight was not finite"
        if self._evaluator is not None and predictions is None:
            return "a prediction was not finite"
        return None


class CheckStop(keras.callbacks.Callback):
    """Last callback of an epoch's end: drops the trial when the sink says so."""

    def __init__(self, callbacks: EpochCallbacks) -> None:
        super().__init__()
        self._callbacks = callbacks

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ask.

        Raises:
            StoppedError: The trial is no longer wanted.
        """
        del epoch, logs
        self._callbacks.check_stop()


def _finite_weights(network: Any) -> bool:
    return all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in network.weights)
