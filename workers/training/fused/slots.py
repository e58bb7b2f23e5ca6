"""The stacked tensors of a pack: made empty, filled slot by slot, and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from hpsearch.domain.mlp import MlpConfig
from workers.training.engine.numerics import Arrays
from workers.training.engine.optimizer_coefficients import ADAGRAD_START
from workers.training.fused.graph.program import State
from workers.training.fused.graph.program_key import ProgramKey


def empty_state(key: ProgramKey) -> State:
    """Return the state of a pack without members: zero throughout."""

    def zeros(shapes: Sequence[tuple[int, ...]], *, wanted: bool = True) -> list[Any]:
        return [tf.zeros((key.n_slots, *shape), key.dtype) for shape in shapes] if wanted else []

    weights, averages = weight_shapes(key), average_shapes(key)
    return State(
        weights=zeros(weights),
        averages=zeros(averages),
        first=zeros(weights, wanted=key.features.first),
        second=zeros(weights, wanted=key.features.second),
        best=zeros([(sum(n_in * n_out for n_in, n_out in (*weights, *averages)),)]),
    )


def weight_shapes(key: ProgramKey) -> list[tuple[int, int]]:
    """Return the shapes of one member's trained weights, padded, in the order of `State.weights`."""
    shapes = []
    for number, (n_in, n_out) in enumerate(pairwise(key.widths)):
        shapes += [(n_in, n_out), (1, n_out)]
        if key.features.batch_norm and number < key.depth:
            shapes += [(1, n_out), (1, n_out)]
    return shapes


def average_shapes(key: ProgramKey) -> list[tuple[int, int]]:
    """Return the shapes of one member's moving averages, padded, in the order of `State.averages`."""
    return [(1, key.width)] * (2 * key.depth) if key.features.batch_norm else []


def filled(key: ProgramKey, state: State, members: Mapping[int, tuple[MlpConfig, Arrays]]) -> State:
    """Return the state with fresh members: their initial weights, fresh moments, all else untouched.

    What the slots held before is gone, their best weights included.

    Args:
        key: Of the program.
        state: Before.
        members: By slot, the network and its kernels as `initial_kernels` made them.
    """
    if not members:
        return state
    slots = sorted(members)
    fresh = [_fresh(key, *members[slot]) for slot in slots]
    index = tf.constant([[slot] for slot in slots])

    def put(tensors: list[Any], part: int) -> list[Any]:
        columns = [np.stack([parts[part][position] for parts in fresh]) for position in range(len(tensors))]
        return [
            tf.tensor_scatter_nd_update(tensor, index, column) for tensor, column in zip(tensors, columns, strict=True)
        ]

    return State(put(state.weights, 0), put(state.averages, 1), put(state.first, 2), put(state.second, 3), state.best)


def _fresh(key: ProgramKey, config: MlpConfig, kernels: Arrays) -> tuple[Arrays, Arrays, Arrays, Arrays]:
    shapes = weight_shapes(key)
    per_layer = 4 if key.features.batch_norm else 2
    weights = [np.zeros(shape, key.dtype) for shape in shapes]
    real = [np.zeros(shape, bool) for shape in shapes]
    averages = [np.zeros(shape, key.dtype) for shape in average_shapes(key)]
    depth = len(config.units)
    for layer, kernel in enumerate(kernels):
        n_in, n_out = kernel.shape
        number = key.place(layer, depth)
        place = number * per_layer
        weights[place][:n_in, :n_out] = kernel
        real[place][:n_in, :n_out] = True
        real[place + 1][:, :n_out] = True
        if config.batch_norm and layer < depth:
            weights[place + 2][:, :n_out] = 1.0
            real[place + 2][:, :n_out] = True
            real[place + 3][:, :n_out] = True
            averages[2 * number + 1][:, :n_out] = 1.0
    start = ADAGRAD_START if config.optimizer == "adagrad" else 0.0
    first = [np.zeros(shape, key.dtype) for shape in shapes] if key.features.first else []
    second = [start * mask.astype(key.dtype) for mask in real] if key.features.second else []
    return weights, averages, first, second


def keras_weights(key: ProgramKey, config: MlpConfig, state: State, slot: int, *, best: bool) -> Arrays:
    """Return one member's weights in the order `keras.Model.set_weights` wants, without padding.

    Args:
        key: Of the program.
        config: The member's network.
        state: Of the pack.
        slot: The member's.
        best: Those of the best epoch before the last one, instead of those after it.
    """
    shapes = [*weight_shapes(key), *average_shapes(key)]
    if best:
        ends = np.cumsum([n_in * n_out for n_in, n_out in shapes])[:-1]
        parts = np.split(np.asarray(state.best[0][slot]), ends)
        arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    else:
        arrays = [np.asarray(tensor[slot]) for tensor in (*state.weights, *state.averages)]
    per_layer = 4 if key.features.batch_norm else 2
    n_weights = len(weight_shapes(key))
    widths, depth = (key.n_inputs, *config.units, key.n_outputs), len(config.units)
    found: Arrays = []
    for layer, (n_in, n_out) in enumerate(pairwise(widths)):
        number = key.place(layer, depth)
        place = number * per_layer
        found += [arrays[place][:n_in, :n_out], arrays[place + 1][0, :n_out]]
        if config.batch_norm and layer < depth:
            rest = (place + 2, place + 3, n_weights + 2 * number, n_weights + 2 * number + 1)
            found += [arrays[other][0, :n_out] for other in rest]
    return found
