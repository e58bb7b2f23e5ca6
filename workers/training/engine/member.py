"""One member of a pack: one fold of one trial, what it has measured so far and how it ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.objective import Objective
from workers.training.engine.fitted import StopReason
from workers.training.engine.numerics import DType
from workers.training.engine.patience import Rate, Stopping
from workers.training.engine.schedule import Schedule
from workers.training.engine.seeds import data_order, derive_seed
from workers.training.engine.stacked_scores import Metrics


class Member:
    """Follows one network through its epochs, by the rules of the reference.

    Args:
        config: The network.
        schedule: When it stops and slows down.
        objective: Of the study.
        trial_seed: The trial's.
        data_order_seed: The study's.
        fold: From 0; 0 for a hold-out split.
        dtype: Of its weights.

    Attributes:
        history: Metrics of each epoch.
        stop_reason: Why it ended well; None until then.
        trouble: Why it diverged; None while it has not.
        is_undefined: Whether the objective is undefined on the held-out rows.
    """

    def __init__(
        self,
        config: MlpConfig,
        schedule: Schedule,
        *,
        objective: Objective,
        trial_seed: int,
        data_order_seed: int,
        fold: int,
        dtype: DType,
    ) -> None:
        self.config = config
        self.schedule = schedule
        self.fold = fold
        self._objective = objective
        self._seeds = (trial_seed, data_order_seed)
        self._dtype: DType = dtype
        self.restart()

    def restart(self) -> None:
        """Forget all epochs: the member will go through the very same ones again."""
        self.history: list[Metrics] = []
        self.stop_reason: StopReason | None = None
        self.trouble: str | None = None
        self.is_undefined = False
        self._stopping = Stopping(self.schedule, self._objective, self._dtype)
        self._rate = Rate(self.config.learning_rate, self.schedule.lr_decay, self._dtype)

    @property
    def seed(self) -> int:
        """Of initial weights and dropout."""
        trial_seed = self._seeds[0]
        return trial_seed if self.fold == 0 else derive_seed(trial_seed, "fold", self.fold)

    @property
    def is_over(self) -> bool:
        """Whether no further epoch follows."""
        return self.stop_reason is not None or self.trouble is not None or self.is_undefined

    @property
    def is_at_its_best(self) -> bool:
        """Whether the last epoch was the best so far."""
        return self._stopping.is_best

    @property
    def best_epoch(self) -> int:
        """From 1."""
        return self._stopping.best_epoch

    @property
    def learning_rate(self) -> float:
        """For the next epoch, as the type of the weights holds it."""
        return self._rate.value

    def mask_seed(self, layer: int) -> int:
        """Return the seed of a layer's dropout masks, 0 for the input's: below 2**31."""
        return derive_seed(self.seed, "dropout", layer)

    def next_order(self, n_rows: int) -> npt.NDArray[np.int64]:
        """Return the order of the coming epoch's rows."""
        trial_seed, order_seed = self._seeds
        return data_order(trial_seed, order_seed, fold=self.fold, epoch=len(self.history) + 1, n_rows=n_rows)

    def epoch(self, train_loss: float, scores: Metrics | None, *, is_finite: bool) -> None:
        """Take what an epoch came to.

        Args:
            train_loss: Mean over the epoch.
            scores: Of the held-out rows; None when an output was not finite.
            is_finite: Whether all weights are.
        """
        is_loss_finite = math.isfinite(train_loss)
        own: Metrics = {"train_loss": train_loss if is_loss_finite else None, "learning_rate": self._rate.shown}
        metrics = (scores or {}) | own
        self.history.append(metrics)
        number = len(self.history)
        if not is_loss_finite:
            self.trouble = f"the training loss was {train_loss} after epoch {number}"
        elif not is_finite:
            self.trouble = f"a weight was not finite after epoch {number}"
        elif scores is None:
            self.trouble = f"a prediction was not finite after epoch {number}"
        else:
            self._evaluate(number, metrics)

    def _evaluate(self, number: int, metrics: Metrics) -> None:
        value = metrics[self._objective.metric]
        if value is None:
            self.is_undefined = True
            return
        self._stopping.epoch(number, value)
        self._rate.epoch(metrics["loss"])
        if self._stopping.is_over:
            self.stop_reason = "early_stopping"
        elif number == self.schedule.max_epochs:
            self.stop_reason = "max_epochs"


def describe(members: list[Member]) -> dict[str, Any]:
    """Return the range of widths and the optimisers among members, for the log."""
    widths = sorted({max(member.config.units, default=0) for member in members})
    return {
        "widths": f"{widths[0]} to {widths[-1]}" if len(widths) > 1 else str(widths[0]),
        "optimizers": ", ".join(sorted({member.config.optimizer for member in members})),
    }
