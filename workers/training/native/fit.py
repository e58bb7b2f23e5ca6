"""Training one network with native kernels, by the rules of the reference."""

from __future__ import annotations

import math

from workers.training.engine.epoch_callbacks import EpochCallbacks, Metrics, check_objective
from workers.training.engine.failures import DivergedError
from workers.training.engine.fitted import Fitted, Recipe, StopReason
from workers.training.engine.optimizer_coefficients import n_moments
from workers.training.engine.patience import Rate, Stopping
from workers.training.engine.rows import Prepared
from workers.training.engine.schedule import Schedule
from workers.training.engine.stacked_scores import Truth
from workers.training.native.memory import MemoryGate
from workers.training.native.network import NativeNetwork, layout_of


def fit(
    recipe: Recipe,
    schedule: Schedule,
    prepared: Prepared,
    callbacks: EpochCallbacks,
    *,
    fold: int = 0,
    memory: MemoryGate,
) -> Fitted:
    """Train one network; see `engine.fitted.Fit`. A stop takes effect between two gradient steps.

    Args:
        recipe: As for `Fit`.
        schedule: As for `Fit`.
        prepared: As for `Fit`.
        callbacks: As for `Fit`.
        fold: As for `Fit`.
        memory: Waited for until there is room for the network.

    Raises:
        MemoryError: The network does not fit into memory.
    """
    config = recipe.config
    n_rows, n_inputs = prepared.train.inputs.shape
    layout = layout_of(config, n_rows=n_rows, n_inputs=n_inputs, n_outputs=prepared.preparation.n_outputs)
    with memory.room_for(layout.n_bytes(recipe.dtype, n_moments(config.optimizer)), callbacks.check_stop):
        return _fit(recipe, schedule, prepared, callbacks, fold)


def _fit(recipe: Recipe, schedule: Schedule, prepared: Prepared, callbacks: EpochCallbacks, fold: int) -> Fitted:
    preparation, held_out = prepared.preparation, prepared.held_out
    network = NativeNetwork(
        recipe.config,
        prepared.train,
        recipe.task,
        n_outputs=preparation.n_outputs,
        seed=recipe.fold_seed(fold),
        dtype=recipe.dtype,
    )
    truth = None
    if held_out is not None:
        truth = Truth(
            recipe.task,
            held_out.truth,
            n_classes=max(2, preparation.n_outputs),
            target_mean=preparation.target_mean,
            target_scale=preparation.target_scale,
            objective=recipe.objective.metric,
        )
    stopping = Stopping(schedule, recipe.objective, recipe.dtype)
    rate = Rate(recipe.config.learning_rate, schedule.lr_decay, recipe.dtype)
    reason: StopReason = "max_epochs"
    for number in range(1, schedule.max_epochs + 1):
        train_loss = network.train(callbacks.next_order(network.n_rows), rate.value, callbacks.check_stop)
        scores = None
        if truth is not None and held_out is not None:
            (scores,) = truth.scores(network.outputs(held_out.inputs, callbacks.check_stop)[None])
        metrics: Metrics = (scores or {}) | {
            "train_loss": train_loss if math.isfinite(train_loss) else None,
            "learning_rate": rate.shown,
        }
        callbacks.on_epoch_end(metrics)
        trouble = _trouble(network, train_loss, scores, is_judged=truth is not None)
        if trouble is not None:
            msg = f"{trouble} after epoch {number}"
            raise DivergedError(msg, callbacks.epochs)
        if truth is None:
            rate.epoch(train_loss)
        else:
            value = check_objective(recipe.objective.metric, metrics[recipe.objective.metric])
            stopping.epoch(number, value)
            rate.epoch(metrics["loss"])
            if stopping.is_best:
                network.keep()
        callbacks.check_stop()
        if stopping.is_over:
            reason = "early_stopping"
            break
    if truth is None:
        network.keep()
    network.free()
    history = tuple(callbacks.history)
    return Fitted(
        history,
        len(history) if truth is None else stopping.best_epoch,
        reason,
        weights=network.keras_weights,
        outputs=lambda inputs: network.outputs(inputs, best=True),
    )


def _trouble(network: NativeNetwork, train_loss: float, scores: Metrics | None, *, is_judged: bool) -> str | None:
    if not math.isfinite(train_loss):
        return f"the training loss was {train_loss}"
    if not network.is_finite:
        return "a weight was not finite"
    return "a prediction was not finite" if is_judged and scores is None else None
