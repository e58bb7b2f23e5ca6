"""Training one network with plain Keras: `compile`, `fit`, its optimisers and its callbacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import keras

from hpsearch.domain.metrics import Direction, Task
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.training import LrDecay
from workers.training.batches import BatchStream
from workers.training.judge import Judge, widest_of
from workers.training.network import DType, build_loss, build_network, build_optimizer
from workers.training.rows import Prepared
from workers.training.schedule import Schedule
from workers.training.seeds import derive_seed
from workers.training.watch import MeasureEpoch, Metrics, ObeySink, Watch


@dataclass(frozen=True)
class Recipe:
    """What all folds of a trial share.

    Attributes:
        config: The network.
        task: Of the study.
        metric: The objective.
        direction: Of the objective.
        seed: The trial's.
        dtype: Of weights and computation.
    """

    config: MlpConfig
    task: Task
    metric: str
    direction: Direction
    seed: int
    dtype: DType = "float32"


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        network: `keras.Model` from prepared inputs to raw outputs, at the weights of the best epoch.
        history: Metrics of each epoch.
        best_epoch: From 1.
        stop_reason: Why training ended.
    """

    network: Any
    history: tuple[Metrics, ...]
    best_epoch: int
    stop_reason: Literal["early_stopping", "max_epochs"]

    @property
    def best(self) -> Metrics:
        """Metrics of the best epoch."""
        return self.history[self.best_epoch - 1]


def fit(recipe: Recipe, schedule: Schedule, prepared: Prepared, watch: Watch, *, fold: int = 0) -> Fitted:
    """Return the network trained on the rows of `prepared.train`.

    With held-out rows it stops early and goes back to the best weights by the objective, as Keras's `EarlyStopping`
    does; without early stopping it trains all epochs and goes back to the best all the same. Without held-out rows it
    trains all epochs and keeps the last weights.

    The learning rate falls as Keras's `ReduceLROnPlateau` lowers it, by the held-out loss, with Keras's own threshold
    of 1e-4 for an improvement; without held-out rows by the training loss.

    Raises:
        DivergedError: A loss, weight or prediction became infinite or NaN.
        StoppedError: The sink wants the trial dropped.
        UntrainableError: The objective is undefined on the held-out rows.
    """
    config = recipe.config
    network = build_network(
        config,
        n_inputs=prepared.preparation.n_inputs,
        n_outputs=prepared.preparation.n_outputs,
        seed=recipe.seed if fold == 0 else derive_seed(recipe.seed, "fold", fold),
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
    judge = None
    if prepared.held_out is not None:
        judge = Judge(recipe.task, recipe.metric, prepared.preparation, prepared.held_out, widest_of(network))
    stopping = _stopping(recipe, schedule, judged=judge is not None)
    network.fit(
        stream.dataset(),
        epochs=schedule.max_epochs,
        steps_per_epoch=stream.n_batches,
        shuffle=False,
        verbose=0,
        callbacks=[
            MeasureEpoch(watch, stream, judge, recipe.metric if judge else None),
            *([stopping] if stopping else []),
            *_decay(schedule.lr_decay, judged=judge is not None),
            ObeySink(watch),
        ],
    )
    history = tuple(watch.history)
    if stopping is None:
        return Fitted(network, history, len(history), "max_epochs")
    reason: Literal["early_stopping", "max_epochs"] = "early_stopping" if stopping.stopped_epoch else "max_epochs"
    return Fitted(network, history, stopping.best_epoch + 1, reason)


def _stopping(recipe: Recipe, schedule: Schedule, *, judged: bool) -> Any:
    if not judged:
        return None
    rule = schedule.early_stopping
    return keras.callbacks.EarlyStopping(
        monitor=f"val_{recipe.metric}",
        mode="max" if recipe.direction == "maximize" else "min",
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
