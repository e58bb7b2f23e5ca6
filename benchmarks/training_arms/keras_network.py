"""The networks of a trial's parameters as a user of Keras would write them, with the product's own meaning of each.

Nothing of the product is imported here, so that the arms of plain Keras start as quickly as they can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import keras

Params = Mapping[str, Any]

# The product's momentum of the moving averages: Keras's own, 0.99, needs hundreds of steps, and small sets have few.
_BATCH_NORM_MOMENTUM: Final = 0.9
_HE: Final = frozenset({"relu", "elu", "gelu", "silu"})
_INITIALIZERS: Final[dict[str, Any]] = {
    "glorot_uniform": keras.initializers.GlorotUniform,
    "glorot_normal": keras.initializers.GlorotNormal,
    "he_uniform": keras.initializers.HeUniform,
    "he_normal": keras.initializers.HeNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "lecun_normal": keras.initializers.LecunNormal,
}


def widths(params: Params) -> tuple[int, ...]:
    """Return the units of each hidden layer: `units_1` … where there are such, else `units` for all `layers`."""
    depth = int(params.get("layers", 2))
    shared = params.get("units", 64)
    return tuple(int(params.get(f"units_{layer}", shared)) for layer in range(1, depth + 1))


def build_network(params: Params, *, n_inputs: int, n_outputs: int, seed: int) -> Any:
    """Return an uncompiled network, its initial weights and dropout decided by the seed.

    Not `keras.utils.set_random_seed`: after it `fit` goes through the rows in one and the same order in every epoch,
    which costs a percent or two of accuracy at high learning rates.

    Args:
        params: Of the trial; what is left out takes the product's default.
        n_inputs: Width of the prepared input.
        n_outputs: Of the network.
        seed: Of the trial, at least 0.
    """
    activation, normalise = params.get("activation", "relu"), params.get("batch_norm", False)
    seed = 1_000 * seed % 2**31
    initializer, l2 = _initializer(params, activation), _l2(params)

    def dense(width: int, place: int) -> Any:
        kernel = initializer(seed=seed + place)
        return keras.layers.Dense(width, kernel_initializer=kernel, kernel_regularizer=l2)

    layers = [keras.Input((n_inputs,)), *_dropout(params.get("input_dropout", 0.0), seed + 500)]
    units = widths(params)
    for place, width in enumerate(units):
        layers.append(dense(width, place))
        if normalise:
            layers.append(keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM))
        layers.append(keras.layers.Activation(activation))
        layers += _dropout(params.get("dropout", 0.0), seed + 501 + place)
    return keras.Sequential([*layers, dense(n_outputs, len(units))])


def build_optimizer(params: Params, network: Any) -> Any:
    """Return the Keras optimiser of the parameters; weights alone decay, not biases and batch normalisation."""
    rate, momentum = params.get("learning_rate", 1e-3), params.get("momentum", 0.9)
    makers: dict[str, Callable[[], Any]] = {
        "sgd": lambda: keras.optimizers.SGD(rate),
        "momentum": lambda: keras.optimizers.SGD(rate, momentum=momentum),
        "nesterov": lambda: keras.optimizers.SGD(rate, momentum=momentum, nesterov=True),
        "adagrad": lambda: keras.optimizers.Adagrad(rate),
        "rmsprop": lambda: keras.optimizers.RMSprop(rate),
        "adam": lambda: keras.optimizers.Adam(rate),
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=params.get("weight_decay", 0.0)),
    }
    optimizer = makers[params.get("optimizer", "adam")]()
    if params.get("optimizer") == "adamw":
        kept = [weight for weight in network.trainable_variables if not weight.path.endswith("/kernel")]
        optimizer.exclude_from_weight_decay(var_list=kept)
    return optimizer


def loss_and_metric(task: str, metric: str) -> tuple[Any, Any]:
    """Return the loss, and the metric to follow under its own name; None for `loss`, which Keras follows anyway.

    The area under the curve is exact to the 2,000th part of a probability; mse is that of the standardised target.
    """
    if task == "regression":
        loss: Any = keras.losses.MeanSquaredError()
    elif task == "binary":
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if metric == "loss":
        return loss, None
    if metric == "mse":
        return loss, keras.metrics.MeanSquaredError(name=metric)
    if metric == "roc_auc":
        return loss, keras.metrics.AUC(num_thresholds=2_000, from_logits=True, name=metric)
    if task == "binary":
        return loss, keras.metrics.BinaryAccuracy(name=metric, threshold=0.0)
    return loss, keras.metrics.SparseCategoricalAccuracy(name=metric)


def _initializer(params: Params, activation: str) -> Any:
    name = params.get("init", "auto")
    if name == "auto":
        name = "lecun_normal" if activation == "selu" else "he_uniform" if activation in _HE else "glorot_uniform"
    return _INITIALIZERS[name]


def _l2(params: Params) -> Any:
    factor = 0.0 if params.get("optimizer", "adam") == "adamw" else params.get("weight_decay", 0.0)
    return keras.regularizers.L2(factor) if factor else None


def _dropout(rate: float, seed: int) -> list[Any]:
    return [keras.layers.Dropout(rate, seed=seed)] if rate else []
