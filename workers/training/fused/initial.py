"""The initial weights of a network: exactly those `network.build_network` starts from, without building it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hpsearch.domain.mlp import MlpConfig
from workers.training.network import DType
from workers.training.seeds import derive_seed

Arrays = list[npt.NDArray[Any]]

_CLASSES: Final[dict[str, Any]] = {
    "glorot_uniform": keras.initializers.GlorotUniform,
    "glorot_normal": keras.initializers.GlorotNormal,
    "he_uniform": keras.initializers.HeUniform,
    "he_normal": keras.initializers.HeNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "lecun_normal": keras.initializers.LecunNormal,
}


def initial_kernels(config: MlpConfig, *, n_inputs: int, n_outputs: int, seed: int, dtype: DType) -> Arrays:
    """Return the kernels of a fresh network, input to output: each (n_in, n_out).

    Args:
        config: The network.
        n_inputs: Width of the prepared input.
        n_outputs: Width of the output.
        seed: The trial's, mixed with the fold.
        dtype: Of the weights.
    """
    widths = (n_inputs, *config.units, n_outputs)
    initializer = _CLASSES[config.resolved_init]
    # On the CPU, so that a network starts from the same weights on every machine.
    with tf.device("CPU:0"):
        return [
            np.asarray(initializer(seed=derive_seed(seed, "kernel", number))(shape, dtype=dtype))
            for number, shape in enumerate(pairwise(widths), start=1)
        ]
