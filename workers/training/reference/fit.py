"""Training one network with plain Keras: `compile`, `fit`, its optimisers and its callbacks."""

from __future__ import annotations

from typing import Any, cast

import keras
import numpy as np

from hpsearch.domain.training import LrDecay
from workers.training.engine.epoch_callbacks import EpochCallbacks
from workers.training.engine.fitted import Fitted, Recipe, StopReason
from workers.training.engine.rows import Prepared
from workers.training.engine.schedule import Schedule
from workers.training.keras_networks.network import build_loss, build_network, build_optimizer
from workers.training.reference.batches import BatchStream
from workers.training.reference.callbacks import CheckStop, MeasureEpoch
from workers.training.reference.evaluator import Evaluator, outputs_of, widest_of


def fit(recipe: Recipe, schedule: Schedule, prepared: Prepared, callbacks: EpochCallbacks, *, fold: int = 0) -> Fitted:
    """Train one network with `model.fit`; see `engine.fitted.Fit`."""
    config = recipe.config
    network = build_network(
        config,
        n_inputs=prepared.preparation.n_inputs,
        n_outputs=prepared.preparation.n_outputs,
        seed=recipe.fold_seed(fold),
        dtype=recipe.dtype,
    )
    stream = BatchStream(prepared.train, config.batch_size)
    # The whole epoch is one call into TensorFlow; results are the same, the time between steps is saved.
    network.compile(
        build_optimizer(config, network),
        build_loss(recipe.task, recipe.dtype),
        steps_per_execution=stream.n_batches,
        jit_compile=False,
    )
    evaluator = None
    if prepared.held_out is not None:
        evaluator = Evaluator(
            recipe.task, recipe.objective.metric, prepared.preparation, prepared.held_out, widest_of(network)
        )
    stopping = _stopping(recipe, schedule, judged=evaluator is not None)
    network.fit(
        stream.dataset(),
        epochs=schedule.max_epochs,
        steps_per_epoch=stream.n_batches,
        shuffle=False,
        verbose=0,
        callbacks=[
            MeasureEpoch(callbacks, stream, evaluator, recipe.objective.metric if evaluator else None),
            *([stopping] if stopping else []),
            *_decay(schedule.lr_decay, judged=evaluator is not None),
            CheckStop(callbacks),
        ],
    )
    history = tuple(callbacks.history)
    best_epoch, reason = len(history), "max_epochs"
    if stopping is not None:
        best_epoch, reason = stopping.best_epoch + 1, "early_stopping" if stopping.stopped_epoch else "max_epochs"
    return Fitted(
        history,
        best_epoch,
        cast("StopReason", reason),
        weights=lambda: [np.asarray(weight) for weight in network.get_weights()],
        outputs=lambda inputs: outputs_of(network, inputs),
    )


def _stopping(recipe: Recipe, schedule: Schedule, *, judged: bool) -> Any:
    if not judged:
        return None
    rule = schedule.early_stopping
    return keras.callbacks.EarlyStopping(
        monitor=f"val_{recipe.objective.metric}",
        mode="max" if recipe.objective.larger_is_better else "min",
        patience=schedule.max_epochs + 1 if rule is None else rule.patience,
        min_delta=0.0 if rule is None else rule.min_delta,
        restore_best_weights=True,
    )


def _decay(rule: LrDecay | None, *, judged: bool) -> list[Any]:
    if rule is None:
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            monitor="val_loss" if judged else "loss",
            factor=rule.factor,
            patience=rule.patience,
            min_lr=rule.floor,
            mode="min",
        )
    ]
