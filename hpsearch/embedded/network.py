"""A trained network in numpy alone: it predicts without TensorFlow and numba, and can be pickled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from hpsearch.data.links import class_probabilities, sigmoid
from hpsearch.data.prepare import Preparation
from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.task import TASKS
from hpsearch.embedded.rows import table_to_ask

if TYPE_CHECKING:
    import polars as pl

Array = npt.NDArray[Any]

# Keras's batch normalisation adds it to the variance.
_EPSILON: Final = 1e-3
# Of selu (Klambauer et al. 2017, arXiv 1706.02515).
_SELU_ALPHA: Final = 1.6732632423543772
_SELU_SCALE: Final = 1.0507009873554805
_ROWS_AT_ONCE: Final = 4_096


@dataclass(frozen=True)
class TrainedNetwork:
    """A network and what prepares its inputs.

    Attributes:
        config: The network.
        weights: In the order of `keras.Model.get_weights`.
        preparation: From columns to inputs, and back from outputs to the target's unit.
        profile: Of the rows it was trained on.
    """

    config: MlpConfig
    weights: tuple[Array, ...]
    preparation: Preparation
    profile: DatasetProfile

    def predictions(self, frame: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Return what the network says of rows.

        Returns:
            Classification: (n, n_classes) probabilities. Regression: (n,) in the target's unit.

        Raises:
            InvalidDatasetError: The frame does not hold what the network reads.
        """
        table = table_to_ask(frame, self.profile)
        found = []
        for start in range(0, max(1, table.n_rows), _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, table.n_rows), dtype=np.int64)
            found.append(self.outputs(self.preparation.inputs(table, rows)))
        outputs = np.concatenate(found)
        task = self.preparation.task
        predictions = class_probabilities(task, self.preparation.predictions(outputs))
        return predictions if TASKS[task].has_classes else predictions[:, 0]

    def outputs(self, inputs: Array) -> npt.NDArray[np.float64]:
        """Return the raw outputs of prepared inputs (n, n_inputs), (n, n_outputs).

        In float64, so that a row's outputs do not depend on the rows beside it.
        """
        x: Array = inputs.astype(np.float64)
        weights = (one.astype(np.float64) for one in self.weights)
        for _ in self.config.units:
            x = x @ next(weights) + next(weights)
            if self.config.batch_norm:
                gamma, beta, mean, variance = (next(weights) for _ in range(4))
                x = gamma * (x - mean) / np.sqrt(variance + _EPSILON) + beta
            x = _ACTIVATIONS[self.config.activation](x)
        return np.asarray(x @ next(weights) + next(weights), dtype=np.float64)


def _gelu(x: Array) -> Array:
    from scipy.special import erf

    return np.asarray(0.5 * x * (1 + erf(x / np.sqrt(2.0))), dtype=x.dtype)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.asarray(np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


_ACTIVATIONS: Final[dict[str, Callable[[Array], Array]]] = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "elu": _elu,
    "gelu": _gelu,
    "silu": lambda x: x * sigmoid(x),
    "selu": lambda x: _SELU_SCALE * _elu(x, _SELU_ALPHA),
}
