"""The forward pass of stacked networks: each tensor has the member as its first axis, and members never mix.

Padded units hold exactly zero: their kernels, biases, scales and shifts are zero, and an activation that is not zero at
zero (sigmoid) is masked. So every gradient of a padded weight is exactly zero too. A member with fewer hidden layers
than the program passes its input on where it has none; no gradient comes back to such a layer's weights, all zero. Rows
beyond a member's own batch are masked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf

from workers.training.engine.numerics import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM
from workers.training.fused.graph import masks
from workers.training.fused.graph.affine import affine, batch_normalised
from workers.training.fused.graph.program_key import ProgramKey

# As float32 holds it, also in float64: so does `tf.nn.gelu`.
_SQRT_HALF: Final = float(np.float32(math.sqrt(0.5)))
_DENSITY: Final = _SQRT_HALF / math.sqrt(math.pi)


@tf.custom_gradient
def _gelu(x: Any) -> Any:
    """Return the exact GELU; its gradient is written so that a compiler can round it in one way only."""
    scaled = x * _SQRT_HALF
    below = 0.5 * tf.math.erfc(-scaled)

    def gradient(upstream: Any) -> Any:
        return upstream * (below + x * (tf.exp(-tf.square(scaled)) * _DENSITY))

    return x * below, gradient


_ACTIVATIONS: Final[dict[str, Any]] = {
    "relu": tf.nn.relu,
    "tanh": tf.nn.tanh,
    "sigmoid": tf.nn.sigmoid,
    "elu": tf.nn.elu,
    "gelu": _gelu,
    "silu": tf.nn.silu,
    "selu": tf.nn.selu,
}


@dataclass(frozen=True)
class Facts:
    """What distinguishes the members of a pack, fixed over an epoch.

    Attributes:
        activation: (K,) int32, index into the program's activations.
        batch_norm: (K,) bool.
        depths: (K,) int32, hidden layers.
        batch_sizes: (K,) int32, rows per step.
        units: (K, depth) int32, true widths; 0 for layers that a member does not have.
        keep_scale: (K,) 1 / (1 - dropout).
        input_keep_scale: (K,) 1 / (1 - input dropout).
        thresholds: (2, K) uint32: of input dropout, of dropout.
        mask_seeds: (depth + 1, K) uint32: of the input's mask, then of each hidden layer's.
    """

    activation: Any
    batch_norm: Any
    depths: Any
    batch_sizes: Any
    units: Any
    keep_scale: Any
    input_keep_scale: Any
    thresholds: Any
    mask_seeds: Any


@dataclass(frozen=True)
class Layer:
    """Weights of one stacked layer.

    Attributes:
        kernel: (K, n_in, n_out).
        bias: (K, 1, n_out).
        gamma: (K, 1, n_out) scale of batch normalisation; None where the program has none or for the output layer.
        beta: (K, 1, n_out) shift, likewise.
        mean: (K, 1, n_out) moving average, likewise.
        variance: (K, 1, n_out) moving average, likewise.
    """

    kernel: Any
    bias: Any
    gamma: Any = None
    beta: Any = None
    mean: Any = None
    variance: Any = None


def layers_of(key: ProgramKey, weights: Sequence[Any], averages: Sequence[Any]) -> list[Layer]:
    """Return the layers that flat lists of trained weights and moving averages stand for.

    Args:
        key: Of the program.
        weights: For each layer kernel, bias and, if the program normalises and it is hidden, gamma and beta.
        averages: For each normalised layer mean and variance.
    """
    layers, position = [], 0
    for number in range(key.depth + 1):
        if key.features.batch_norm and number < key.depth:
            layers.append(Layer(*weights[position : position + 4], *averages[2 * number : 2 * number + 2]))
            position += 4
        else:
            layers.append(Layer(*weights[position : position + 2]))
            position += 2
    return layers


def infer(key: ProgramKey, layers: Sequence[Layer], facts: Facts, rows: Any) -> Any:
    """Return the raw outputs in inference, (K, n, n_outputs).

    Args:
        key: Of the program.
        layers: Weights.
        facts: Of the members.
        rows: (n, n_inputs), the same for all members.
    """
    x = tf.broadcast_to(rows[None], (key.n_slots, *rows.shape))
    affines = []
    for number, layer in enumerate(layers[:-1]):
        y = tf.matmul(x, layer.kernel) + layer.bias
        affines.append(y)
        if layer.gamma is not None:
            normal = _normalised(y, layer, layer.mean, layer.variance)
            y = tf.where(facts.batch_norm[:, None, None], normal, y)
        x = _passed_on(key, facts, number, _activated(key, facts, number, y), x)
    return _output(key, facts, affines, tf.matmul(x, layers[-1].kernel) + layers[-1].bias)


def train(
    key: ProgramKey, layers: Sequence[Layer], facts: Facts, rows: Any, row_weights: Any, steps: Any
) -> tuple[Any, list[Any]]:
    """Return the raw outputs in training, (K, B, n_outputs), and the new moving averages.

    Args:
        key: Of the program.
        layers: Weights.
        facts: Of the members.
        rows: (K, B, n_inputs).
        row_weights: (K, B) 1 for rows of the batch, 0 for padding behind the last of them; a member without any takes
            no step.
        steps: (K,) uint32, the members' own steps, from 1.
    """
    x, averages, affines = rows, list[Any](), []
    if key.features.input_dropout:
        x = _dropped(facts, x, 0, steps, facts.thresholds[0], facts.input_keep_scale)
    for number, layer in enumerate(layers[:-1]):
        y = affine(x, layer.kernel, layer.bias, row_weights)
        affines.append(y)
        if layer.gamma is not None:
            y, moved = _batch_normalised(y, layer, facts.batch_norm[:, None, None], row_weights)
            averages += moved
        y = _activated(key, facts, number, y)
        if key.features.dropout:
            y = _dropped(facts, y, number + 1, steps, facts.thresholds[1], facts.keep_scale)
        x = _passed_on(key, facts, number, y, x)
    return _output(key, facts, affines, affine(x, layers[-1].kernel, layers[-1].bias, row_weights)), averages


def _passed_on(key: ProgramKey, facts: Facts, number: int, y: Any, x: Any) -> Any:
    """Return what a hidden layer makes of its input, of members that do not have the layer the input."""
    # The first layer's input has another width; of a member that does not have it nobody reads on.
    if number < max(1, key.least_depth):
        return y
    return tf.where((facts.depths > number)[:, None, None], y, x)


def _output(key: ProgramKey, facts: Facts, affines: Sequence[Any], raw: Any) -> Any:
    """Return the raw outputs, of linear members those of the first layer before its activation."""
    if not key.holds_linear:
        return raw
    return tf.where((facts.depths == 0)[:, None, None], affines[0][:, :, : key.n_outputs], raw)


def _batch_normalised(x: Any, layer: Layer, on: Any, row_weights: Any) -> tuple[Any, tuple[Any, Any]]:
    normal, mean, variance = batch_normalised(x, layer.gamma, layer.beta, row_weights, epsilon=BATCH_NORM_EPSILON)
    # Keras writes two products; see `rules` why there is only one here.
    pull = 1.0 - BATCH_NORM_MOMENTUM
    moves = on & (row_weights[:, :1, None] > 0)
    moved = (
        tf.where(moves, layer.mean + (mean - layer.mean) * pull, layer.mean),
        tf.where(moves, layer.variance + (variance - layer.variance) * pull, layer.variance),
    )
    return tf.where(on, normal, x), moved


def _normalised(x: Any, layer: Layer, mean: Any, variance: Any) -> Any:
    inverse = tf.math.rsqrt(variance + BATCH_NORM_EPSILON) * layer.gamma
    return x * inverse + (layer.beta - mean * inverse)


def _activated(key: ProgramKey, facts: Facts, number: int, x: Any) -> Any:
    names = key.features.activations
    y = _ACTIVATIONS[names[0]](x)
    for index, name in enumerate(names[1:], start=1):
        y = tf.where(facts.activation[:, None, None] == index, _ACTIVATIONS[name](x), y)
    if "sigmoid" in names:
        real = tf.range(x.shape[2])[None, :] < facts.units[:, number][:, None]
        y = tf.where(real[:, None, :], y, tf.zeros((), y.dtype))
    return y


def _dropped(facts: Facts, x: Any, mask: int, steps: Any, thresholds: Any, scale: Any) -> Any:
    keys = masks.step_keys(facts.mask_seeds[mask], steps)
    kept = masks.kept(keys, thresholds, facts.batch_sizes, x.shape[1], x.shape[2])
    return tf.where(kept, x * scale[:, None, None], tf.zeros((), x.dtype))
