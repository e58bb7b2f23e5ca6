"""Evaluator: a network's predictions for held-out rows, and their metrics."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hpsearch.data.prepare import Preparation
from hpsearch.domain.task import TaskName
from workers.training.engine.rows import Part
from workers.training.engine.scores import score

# Numbers in the widest layer for one block of rows: 64 MiB of float32.
_MAX_ACTIVATIONS: Final = 2**24


class Evaluator:
    """Scores one network on the same rows again and again; the rows stay on the device.

    Args:
        task: Of the study.
        objective: Of the study.
        preparation: That made the rows.
        part: The rows, at least 1.
        widest: As `widest_of` says.
    """

    def __init__(self, task: TaskName, objective: str, preparation: Preparation, part: Part, widest: int) -> None:
        self._task = task
        self._objective = objective
        self._preparation = preparation
        self._truth = part.truth
        self._blocks = [tf.constant(block) for block in _blocks(part.inputs, widest)]

    def predictions(self, network: Any) -> npt.NDArray[np.float64] | None:
        """Return the predictions as `scores.score` wants them; None where one is not finite."""
        raw = _through(network, self._blocks).astype(np.float64)
        if not np.isfinite(raw).all():
            return None
        return self._preparation.predictions(raw)

    def score(self, predictions: npt.NDArray[np.float64]) -> dict[str, float | None]:
        """Return every metric of the predictions."""
        scale = self._preparation.target_scale
        return score(self._task, predictions, self._truth, target_scale=scale, objective=self._objective)


def outputs_of(network: Any, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the raw outputs of a network, (n, n_outputs), block by block.

    Args:
        network: From prepared inputs to raw outputs.
        inputs: (n, n_inputs), n at least 1.
    """
    return _through(network, _blocks(inputs, widest_of(network)))


def _blocks(inputs: npt.NDArray[Any], widest: int) -> list[npt.NDArray[Any]]:
    rows_at_once = max(1, _MAX_ACTIVATIONS // widest)
    return np.array_split(inputs, -(-len(inputs) // rows_at_once))


def _through(network: Any, blocks: list[Any]) -> npt.NDArray[Any]:
    return np.concatenate([network.predict_on_batch(block) for block in blocks])


def widest_of(network: Any) -> int:
    """Return the width of the widest layer of a network, input and output included."""
    return max(int(layer.output.shape[-1]) for layer in network.layers)
