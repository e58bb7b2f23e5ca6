"""The interface of fitting one network: what an engine is given, and the trained network it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy.typing as npt

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.objective import Objective
from hpsearch.domain.task import TaskName
from workers.training.engine.epoch_callbacks import EpochCallbacks, Metrics
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.rows import Prepared
from workers.training.engine.schedule import Schedule
from workers.training.engine.seeds import derive_seed

StopReason = Literal["early_stopping", "max_epochs"]


@dataclass(frozen=True)
class Recipe:
    """What all folds of a trial share.

    Attributes:
        config: The network.
        task: Of the study.
        objective: Of the study.
        seed: The trial's.
        dtype: Of weights and computation.
    """

    config: MlpConfig
    task: TaskName
    objective: Objective
    seed: int
    dtype: DType = "float32"

    def fold_seed(self, fold: int) -> int:
        """Return the seed of a fold's initial weights and dropout; fold 0 is seeded as a hold-out split is."""
        return self.seed if fold == 0 else derive_seed(self.seed, "fold", fold)


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes:
        history: Metrics of each epoch.
        best_epoch: From 1.
        stop_reason: Why training ended.
        weights: Returns the weights of the best epoch in the order of `keras.Model.get_weights`.
        outputs: Returns the raw outputs, (n, n_outputs), of prepared inputs (n, n_inputs), by those weights.
    """

    history: tuple[Metrics, ...]
    best_epoch: int
    stop_reason: StopReason
    weights: Callable[[], Arrays]
    outputs: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

    @property
    def best(self) -> Metrics:
        """Metrics of the best epoch."""
        return self.history[self.best_epoch - 1]


class Fit(Protocol):
    """How an engine trains one network."""

    def __call__(
        self, recipe: Recipe, schedule: Schedule, prepared: Prepared, callbacks: EpochCallbacks, *, fold: int = 0
    ) -> Fitted:
        """Return the network trained on the rows of `prepared.train`.

        With held-out rows it stops early and goes back to the best weights by the objective, as Keras's
        `EarlyStopping` does; without early stopping it trains all epochs and goes back to the best all the same.
        Without held-out rows it trains all epochs and keeps the last weights.

        The learning rate falls as Keras's `ReduceLROnPlateau` lowers it, by the held-out loss, with Keras's own
        threshold of 1e-4 for an improvement; without held-out rows by the training loss.

        Raises:
            DivergedError: A loss, weight or prediction became infinite or NaN.
            StoppedError: The sink wants the trial dropped.
            UntrainableError: The objective is undefined on the held-out rows.
        """
        ...
