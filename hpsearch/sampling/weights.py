"""How many weights sampled networks have, one at a time or a whole table at once."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.domain.mlp import MlpConfig, count_weights, units_of
from hpsearch.domain.trial import Params
from hpsearch.sampling.request import NetworkShape

_DEFAULT_BATCH_NORM: Final = MlpConfig().batch_norm


def n_weights(params: Params, shape: NetworkShape) -> int:
    """Return the trainable weights of the network a point describes.

    Args:
        params: A point of a space; only layers, widths and batch normalisation are read.
        shape: Widths of input and output.
    """
    return count_weights(
        units_of(params),
        n_inputs=shape.n_inputs,
        n_outputs=shape.n_outputs,
        batch_norm=bool(params.get("batch_norm", _DEFAULT_BATCH_NORM)),
    )


def obeys(params: Params, shape: NetworkShape) -> bool:
    """Return whether the point keeps to the weight limit."""
    return shape.max_weights is None or n_weights(params, shape) <= shape.max_weights


def count_table(
    n_layers: NDArray[np.int64], widths: NDArray[np.int64], batch_norm: NDArray[np.bool_], shape: NetworkShape
) -> NDArray[Any]:
    """Return the weights of many networks, (n_rows,) int64; the same formula as `domain.mlp.count_weights`.

    Args:
        n_layers: (n_rows,) hidden layers of each, 0 to the number of columns of `widths`.
        widths: (n_rows, max_layers) width of each hidden layer; columns beyond `n_layers` are ignored.
        batch_norm: (n_rows,) whether hidden layers are normalised.
        shape: Widths of input and output.
    """
    total = np.zeros(len(n_layers), dtype=np.int64)
    fan_in = np.full(len(n_layers), shape.n_inputs, dtype=np.int64)
    for layer in range(widths.shape[1]):
        present = layer < n_layers
        width = widths[:, layer]
        total += np.where(present, (fan_in + 1) * width + np.where(batch_norm, 2 * width, 0), 0)
        fan_in = np.where(present, width, fan_in)
    return total + (fan_in + 1) * shape.n_outputs
