"""Judge: what a network predicts for held-out rows, and how good that is."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hpsearch.data.prepare import Preparation
from hpsearch.domain.metrics import Task
from workers.training.rows import Part
from workers.training.scores import score

# Numbers in the widest layer for one block of rows: 64 MiB of float32.
_MAX_ACTIVATIONS: Final = 2**24


class Judge:
    """Scores one network on the same rows again and again; the rows stay on the device.

    Args:
        task: Of the study.
        objective: Of the study.
        preparation: That made the rows.
        part: The rows, at least 1.
        widest: As `widest_of` says.
    """

    def __init__(self, task: Task, objective: str, preparation: Preparation, part: Part, widest: int) -> None:
        self._task = task
        self._objective = objective
        self._preparation = preparation
        self._truth = part.truth
        rows_at_once = max(1, _MAX_ACTIVATIONS // widest)
        n_blocks = -(-len(part.inputs) // rows_at_once)
        self._blocks = [tf.constant(block) for block in np.array_split(part.inputs, n_blocks)]

    def predictions(self, network: Any) -> npt.NDArray[np.float64] | None:
        """Return the predictions as `scores.score` wants them; None where one is not finite."""
        raw = np.concatenate([network.predict_on_batch(block) for block in self._blocks]).astype(np.float64)
        if not np.isfinite(raw).all():
            return None
        return predictions_of(self._task, raw, self._preparation)

    def score(self, predictions: npt.NDArray[np.float64]) -> dict[str, float | None]:
        """Return every metric of the predictions."""
        scale = self._preparation.target_scale
        return score(self._task, predictions, self._truth, target_scale=scale, objective=self._objective)


def widest_of(network: Any) -> int:
    """Return the width of the widest layer of a network, input and output included."""
    return max(int(layer.output.shape[-1]) for layer in network.layers)


def predictions_of(task: Task, raw: npt.NDArray[np.float64], preparation: Preparation) -> npt.NDArray[np.float64]:
    """Return probabilities, or values in the target's unit, of a network's raw output.

    Args:
        task: Of the study.
        raw: (n, n_outputs) float64 logits, or standardised values.
        preparation: That standardised the target.
    """
    if task == "multiclass":
        exponentials = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
    if task == "binary":
        logit = raw[:, 0]
        small = np.exp(-np.abs(logit))
        return np.asarray(np.where(logit >= 0, 1.0, small) / (1.0 + small))
    return np.asarray(raw[:, 0] * preparation.target_scale + preparation.target_mean)
