"""One trial as a user of Keras trains it: `compile`, `fit`, Keras's own callbacks.

Nothing of the product is imported here, so that the other side starts as quickly as it can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.study_arms.plan import Plan
from benchmarks.training_arms.keras_network import build_network, build_optimizer, loss_and_metric


class Rows:
    """The prepared rows of a study.

    Args:
        folder: Where they were prepared.
    """

    def __init__(self, folder: Path) -> None:
        with np.load(folder / "rows.npz") as arrays:
            self.train = (arrays["train_inputs"], arrays["train_targets"])
            self.validation = (arrays["validation_inputs"], arrays["validation_targets"])
            self.development = (arrays["development_inputs"], arrays["development_targets"])


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        network: With its best weights.
        score: At its best epoch, in the metric's own unit; None where training diverged.
        epochs: Trained.
        best_epoch: From 1.
    """

    network: Any
    score: float | None
    epochs: int
    best_epoch: int


def compiled(params: Mapping[str, Any], plan: Plan, seed: int) -> Any:
    """Return the compiled network of a trial."""
    network = build_network(params, n_inputs=plan.n_inputs, n_outputs=plan.n_outputs, seed=seed)
    loss, metric = loss_and_metric(plan.task, plan.metric)
    network.compile(build_optimizer(params, network), loss, metrics=[] if metric is None else [metric])
    return network


def fit(params: Mapping[str, Any], plan: Plan, rows: Rows, seed: int) -> Fitted:
    """Return a trial trained by the study's rules: early stopping, best weights, decay of the learning rate."""
    keras.utils.clear_session()
    network = compiled(params, plan, seed)
    history = network.fit(
        *rows.train,
        validation_data=rows.validation,
        epochs=plan.stop.max_epochs,
        batch_size=params.get("batch_size", 64),
        callbacks=callbacks(plan),
        verbose=0,
    ).history
    return judged(network, history, plan)


class GiveUpOnNaN(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a training whose loss is no number, as our engines do; Keras's own callback looks after every batch."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the epoch's loss."""
        del epoch
        if not math.isfinite((logs or {})["loss"]):
            self.model.stop_training = True


def callbacks(plan: Plan) -> list[Any]:
    """Return the callbacks for the study's rules."""
    stop = plan.stop
    found = [
        GiveUpOnNaN(),
        keras.callbacks.EarlyStopping(
            monitor=f"val_{plan.metric}",
            mode="max" if plan.maximize else "min",
            patience=stop.max_epochs + 1 if stop.patience is None else stop.patience,
            min_delta=stop.min_delta,
            restore_best_weights=True,
        ),
    ]
    if stop.decay is not None:
        factor, patience, floor = stop.decay
        found.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss", factor=factor, patience=patience, min_lr=floor, mode="min"
            )
        )
    return found


def judged(network: Any, history: Mapping[str, list[float]], plan: Plan) -> Fitted:
    """Return what a history of `fit` says about a network."""
    scores, epochs = history.get(f"val_{plan.metric}", []), len(history["loss"])
    if not math.isfinite(history["loss"][-1]) or not all(math.isfinite(score) for score in scores) or not scores:
        return Fitted(network, None, epochs, 0)
    best = max(scores) if plan.maximize else min(scores)
    unit = plan.target_scale**2 if plan.metric == "mse" else 1.0
    return Fitted(network, best * unit, epochs, scores.index(best) + 1)


def refit(params: Mapping[str, Any], plan: Plan, rows: Rows, seed: int, epochs: int) -> Any:
    """Return a network trained on training and validation rows for so many epochs; the rate falls by the loss."""
    keras.utils.clear_session()
    network = compiled(params, plan, seed)
    rules = []
    if plan.stop.decay is not None:
        factor, patience, floor = plan.stop.decay
        rules = [keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=factor, patience=patience, min_lr=floor)]
    network.fit(*rows.development, epochs=epochs, batch_size=params.get("batch_size", 64), callbacks=rules, verbose=0)
    return network
