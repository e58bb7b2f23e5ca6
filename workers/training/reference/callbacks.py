"""Keras callbacks at the end of each epoch: measure, notice divergence, report, obey."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from workers.training.engine.epoch_callbacks import Metrics, Watch, check_objective
from workers.training.engine.failures import DivergedError
from workers.training.reference.batches import BatchStream
from workers.training.reference.evaluator import Judge


class MeasureEpoch(keras.callbacks.Callback):
    """First callback of an epoch's end: adds the held-out metrics to Keras's logs as `val_…`.

    Args:
        watch: Receives the metrics.
        stream: Whose order is set at the start of each epoch.
        judge: Scores held-out rows; None when there are none.
        objective: Metric that must be defined; None when there are no held-out rows.
    """

    def __init__(self, watch: Watch, stream: BatchStream, judge: Judge | None, objective: str | None) -> None:
        super().__init__()
        self._watch = watch
        self._stream = stream
        self._judge = judge
        self._objective = objective

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Shuffle."""
        del epoch, logs
        self._stream.set_order(self._watch.next_order(self._stream.n_rows))

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
        predictions = None if self._judge is None else self._judge.predictions(self.model)
        if self._judge is not None and predictions is not None:
            metrics = self._judge.score(predictions) | metrics
        self._watch.measured(metrics)
        trouble = self._trouble(train_loss, predictions)
        if trouble is not None:
            msg = f"{trouble} after epoch {len(self._watch.history)}"
            raise DivergedError(msg, self._watch.epochs)
        if self._objective is None:
            return
        check_objective(self._objective, metrics[self._objective])
        logs.update({f"val_{name}": value for name, value in metrics.items() if value is not None})

    def _trouble(self, train_loss: float, predictions: object) -> str | None:
        if not math.isfinite(train_loss):
            return f"the training loss was {train_loss}"
        if not _finite_weights(self.model):
            return "a weight was not finite"
        if self._judge is not None and predictions is None:
            return "a prediction was not finite"
        return None


class ObeySink(keras.callbacks.Callback):
    """Last callback of an epoch's end: drops the trial when the sink says so."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ask.

        Raises:
            StoppedError: The trial is no longer wanted.
        """
        del epoch, logs
        self._watch.obey()


def _finite_weights(network: Any) -> bool:
    return all(np.isfinite(keras.ops.convert_to_numpy(weight)).all() for weight in network.weights)
