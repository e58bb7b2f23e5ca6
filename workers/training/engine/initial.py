"""The initial weights of a network: Keras's distributions, drawn without TensorFlow, the same for every engine."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

import numpy as np

from hpsearch.domain.mlp import MlpConfig
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.seeds import generator

# A normal distribution cut off at two standard deviations has this standard deviation; Keras divides by it.
_CUT_SPREAD: Final = 0.87962566103423978
_CUT: Final = 2.0


def initial_kernels(config: MlpConfig, *, n_inputs: int, n_outputs: int, seed: int, dtype: DType) -> Arrays:
    """Return the kernels of a fresh network, input to output: each (n_in, n_out). Biases start at 0.

    Variance scaling as in Keras's initialisers: Glorot and Bengio 2010, 2 / (fan_in + fan_out); He et al. 2015,
    2 / fan_in; LeCun et al. 1998, 1 / fan_in; uniform, or normal and cut off at two standard deviations.

    Args:
        config: The network.
        n_inputs: Width of the prepared input.
        n_outputs: Width of the output.
        seed: The trial's, mixed with the fold.
        dtype: Of the weights.
    """
    widths = (n_inputs, *config.units, n_outputs)
    family, _, shape = config.resolved_init.partition("_")
    kernels: Arrays = []
    for number, (n_in, n_out) in enumerate(pairwise(widths), start=1):
        variance = {"glorot": 2.0 / (n_in + n_out), "he": 2.0 / n_in, "lecun": 1.0 / n_in}[family]
        random = generator(seed, "kernel", number)
        size = (n_in, n_out)
        if shape == "uniform":
            limit = math.sqrt(3.0 * variance)
            kernel = random.uniform(-limit, limit, size)
        else:
            kernel = _cut_normal(random, n_in * n_out).reshape(size) * (math.sqrt(variance) / _CUT_SPREAD)
        kernels.append(kernel.astype(dtype))
    return kernels


def _cut_normal(random: np.random.RandomState, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return standard normal numbers of at most two in size, those beyond drawn again."""
    drawn = random.standard_normal(n)
    while (beyond := np.flatnonzero(np.abs(drawn) > _CUT)).size:
        drawn[beyond] = random.standard_normal(beyond.size)
    return drawn
