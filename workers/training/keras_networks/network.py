"""From an MlpConfig to a Keras network and its optimiser."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import keras

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.task import TASKS, Loss, TaskName
from workers.training.engine.initial import initial_kernels
from workers.training.engine.numerics import BATCH_NORM_MOMENTUM, DType
from workers.training.engine.seeds import derive_seed

_INITIALIZERS: Final[dict[str, Any]] = {
    "glorot_uniform": keras.initializers.GlorotUniform,
    "glorot_normal": keras.initializers.GlorotNormal,
    "he_uniform": keras.initializers.HeUniform,
    "he_normal": keras.initializers.HeNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "lecun_normal": keras.initializers.LecunNormal,
}

_LOSSES: Final[dict[Loss, Callable[..., Any]]] = {
    "categorical_crossentropy": partial(keras.losses.SparseCategoricalCrossentropy, from_logits=True),
    "binary_crossentropy": partial(keras.losses.BinaryCrossentropy, from_logits=True),
    "mean_squared_error": keras.losses.MeanSquaredError,
}


def build_network(config: MlpConfig, *, n_inputs: int, n_outputs: int, seed: int, dtype: DType = "float32") -> Any:
    """Return an uncompiled `keras.Model` from prepared inputs to logits (or a standardised regression value).

    Layer k is affine map, batch normalisation (if any), activation, dropout. Biases start at 0, kernels as
    `initial_kernels` draws them. Initial weights and dropout masks depend on `seed` and the layer's number alone.

    Args:
        config: The network.
        n_inputs: Width of the prepared input, at least 1.
        n_outputs: Width of the output, at least 1.
        seed: The trial's, mixed with the fold.
        dtype: Of weights and computation.
    """
    inputs = keras.Input((n_inputs,), dtype=dtype, name="prepared")
    x = _dropout(inputs, config.input_dropout, "mlp_input_dropout", derive_seed(seed, "dropout", 0), dtype)
    for number, width in enumerate(config.units, start=1):
        x = _dense(config, width, number, seed, dtype, name=f"mlp_hidden_{number}")(x)
        if config.batch_norm:
            normalise = keras.layers.BatchNormalization(
                momentum=BATCH_NORM_MOMENTUM, dtype=dtype, name=f"mlp_batch_norm_{number}"
            )
            x = normalise(x)
        x = keras.layers.Activation(config.activation, dtype=dtype, name=f"mlp_activation_{number}")(x)
        x = _dropout(x, config.dropout, f"mlp_dropout_{number}", derive_seed(seed, "dropout", number), dtype)
    x = _dense(config, n_outputs, len(config.units) + 1, seed, dtype, name="mlp_output")(x)
    network = keras.Model(inputs, x, name="mlp")
    kernels = initial_kernels(config, n_inputs=n_inputs, n_outputs=n_outputs, seed=seed, dtype=dtype)
    affine = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    for layer, kernel in zip(affine, kernels, strict=True):
        layer.kernel.assign(kernel)
    return network


def _dense(config: MlpConfig, width: int, number: int, seed: int, dtype: DType, *, name: str) -> Any:
    l2 = 0.0 if config.optimizer == "adamw" else config.weight_decay
    return keras.layers.Dense(
        width,
        kernel_initializer=_INITIALIZERS[config.resolved_init](seed=derive_seed(seed, "kernel", number)),
        kernel_regularizer=keras.regularizers.L2(l2) if l2 else None,
        dtype=dtype,
        name=name,
    )


def _dropout(x: Any, rate: float, name: str, seed: int, dtype: DType) -> Any:
    return keras.layers.Dropout(rate, seed=seed, dtype=dtype, name=name)(x) if rate else x


def build_optimizer(config: MlpConfig, network: Any) -> Any:
    """Return the Keras optimiser of the network, with its variables built.

    All but the learning rate, momentum and weight decay are Keras's defaults. Weight decay of `adamw` is decoupled
    (each step takes learning_rate * weight_decay of the kernel away); for the others it is part of the loss, see
    `build_network`. Biases and batch normalisation never decay.
    """
    rate = config.learning_rate
    optimizer: Any
    match config.optimizer:
        case "sgd":
            optimizer = keras.optimizers.SGD(rate)
        case "momentum":
            optimizer = keras.optimizers.SGD(rate, momentum=float(config.momentum))
        case "nesterov":
            optimizer = keras.optimizers.SGD(rate, momentum=float(config.momentum), nesterov=True)
        case "adagrad":
            optimizer = keras.optimizers.Adagrad(rate)
        case "rmsprop":
            optimizer = keras.optimizers.RMSprop(rate)
        case "adam":
            optimizer = keras.optimizers.Adam(rate)
        case "adamw":
            optimizer = keras.optimizers.AdamW(rate, weight_decay=float(config.weight_decay))
            kept = [variable for variable in network.trainable_variables if not variable.path.endswith("/kernel")]
            optimizer.exclude_from_weight_decay(var_list=kept)
    # Built here, not in the first step: variables made while TensorFlow traces a step make it trace the step twice.
    optimizer.build(network.trainable_variables)
    return optimizer


def build_loss(task: TaskName, dtype: DType = "float32") -> Any:
    """Return the Keras loss that compares targets with the network's raw output.

    multiclass: cross-entropy of logits, int32 codes. binary: of one logit, (n, 1) zeros and ones. regression: mean
    squared error of the standardised target, (n, 1).
    """
    return _LOSSES[TASKS[task].loss](dtype=dtype)
