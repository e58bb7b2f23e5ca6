"""Layout: where the numbers of one network lie in flat arrays, and Keras's arrays to and fro."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from hpsearch.domain.mlp import MlpConfig
from workers.training.engine.numerics import Arrays, DType

# The columns of the table of layers: widths; offsets into weights (kernel, bias, scale, shift), into the averages
# (mean, variance) and into the work space (outputs, slopes, gradients, normalised rows, inverse deviations).
COLUMNS: Final = (
    "n_in", "n_out", "kernel", "bias", "gamma", "beta", "mean", "variance", "out", "slope", "back", "normal", "inverse",
)  # fmt: skip
# Of what a layer does not have.
NOWHERE: Final = -1
# Numbers between the starts of two arrays are a multiple of this, so that vectors load from aligned addresses.
_ALIGNMENT: Final = 16
_BYTES: Final = {"float32": 4, "float64": 8}


class _Counter:
    """Hands out aligned places one after another."""

    def __init__(self) -> None:
        self.end = 0

    def take(self, n: int) -> int:
        start = self.end
        self.end += -(-n // _ALIGNMENT) * _ALIGNMENT
        return start


@dataclass(frozen=True)
class Layout:
    """The flat arrays of one network.

    Attributes:
        table: (n_layers, len(COLUMNS)) int64: widths and offsets of each affine layer, the output layer last.
        n_weights: Length of the weights, gaps included; kernels lie in front.
        n_kernel: How many of them belong to kernels, gaps included.
        n_averages: Length of the moving averages.
        n_work: Length of the work space.
        rows_at_once: Rows the work space has room for.
    """

    table: npt.NDArray[np.int64]
    n_weights: int
    n_kernel: int
    n_averages: int
    n_work: int
    rows_at_once: int

    @classmethod
    def of(cls, config: MlpConfig, *, n_inputs: int, n_outputs: int, rows_at_once: int) -> Self:
        """Return the layout of a network.

        Args:
            config: The network.
            n_inputs: Width of the prepared input.
            n_outputs: Width of the output.
            rows_at_once: Rows that pass through it together, in training or judging, at least 1.
        """
        widths = list(pairwise((n_inputs, *config.units, n_outputs)))
        weights, averages, work = _Counter(), _Counter(), _Counter()
        places: list[dict[str, int]] = [dict.fromkeys(COLUMNS, NOWHERE) for _ in widths]
        for place, (n_in, n_out) in zip(places, widths, strict=True):
            place |= {"n_in": n_in, "n_out": n_out, "kernel": weights.take(n_in * n_out)}
        n_kernel = weights.end
        # The rows of a batch lie in front.
        work.take(rows_at_once * n_inputs)
        for number, place in enumerate(places):
            n_out = place["n_out"]
            is_hidden = number < len(config.units)
            place["bias"] = weights.take(n_out)
            place["out"] = work.take(rows_at_once * n_out)
            place["back"] = work.take(rows_at_once * n_out)
            if is_hidden:
                place["slope"] = work.take(rows_at_once * n_out)
            if is_hidden and config.batch_norm:
                place |= {"gamma": weights.take(n_out), "beta": weights.take(n_out)}
                place |= {"mean": averages.take(n_out), "variance": averages.take(n_out)}
                place |= {"normal": work.take(rows_at_once * n_out), "inverse": work.take(n_out)}
        table = np.array([[place[column] for column in COLUMNS] for place in places], np.int64)
        return cls(table, weights.end, n_kernel, averages.end, work.end, rows_at_once)

    def n_bytes(self, dtype: DType, n_moments: int) -> int:
        """Return the memory a network in training takes.

        Args:
            dtype: Of the weights.
            n_moments: Moments the optimiser keeps of each weight, 0 to 2.
        """
        # Weights, gradient and best weights, beside the moments.
        return ((3 + n_moments) * self.n_weights + 2 * self.n_averages + self.n_work) * _BYTES[dtype]

    def write(self, weights: npt.NDArray[Any], averages: npt.NDArray[Any], kernels: Arrays) -> None:
        """Write the weights of a fresh network: given kernels, biases and shifts 0, scales and variances 1."""
        weights[:] = 0
        averages[:] = 0
        for row, kernel in zip(self.table, kernels, strict=True):
            place = dict(zip(COLUMNS, row.tolist(), strict=True))
            weights[place["kernel"] : place["kernel"] + kernel.size] = kernel.ravel()
            if place["gamma"] != NOWHERE:
                weights[place["gamma"] : place["gamma"] + place["n_out"]] = 1
                averages[place["variance"] : place["variance"] + place["n_out"]] = 1

    def keras_weights(self, weights: npt.NDArray[Any], averages: npt.NDArray[Any]) -> Arrays:
        """Return copies in the order `keras.Model.set_weights` wants: kernel, bias, scale, shift, mean, variance."""
        found: Arrays = []
        for row in self.table:
            place = dict(zip(COLUMNS, row.tolist(), strict=True))
            n_in, n_out = place["n_in"], place["n_out"]
            found.append(weights[place["kernel"] : place["kernel"] + n_in * n_out].reshape(n_in, n_out).copy())
            named = ["bias"] if place["gamma"] == NOWHERE else ["bias", "gamma", "beta", "mean", "variance"]
            for name in named:
                held = averages if name in ("mean", "variance") else weights
                found.append(held[place[name] : place[name] + n_out].copy())
        return found
