"""One optimiser step of all members, each by its own rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from workers.training.engine.optimizer_coefficients import NAMES
from workers.training.fused.graph.program_key import ProgramKey


@dataclass(frozen=True)
class Moments:
    """First and second moments, parallel to the trained weights; empty where no optimiser of the program keeps them."""

    first: list[Any]
    second: list[Any]


def updated(
    key: ProgramKey, rules: Any, steps: Any, weights: Sequence[Any], gradients: Sequence[Any], moments: Moments
) -> tuple[list[Any], Moments]:
    """Return weights and moments after one step of each member's optimiser.

    Args:
        key: Of the program.
        rules: (len(NAMES), K) coefficients, see `rules.Rule`.
        steps: (K,) number of this step, from 1, of the weights' type.
        weights: Trained weights; tensors of more than one row per member are kernels, which alone decay.
        gradients: Of the mean loss without its L2 term, parallel to `weights`.
        moments: Before the step.
    """
    rule = dict(zip(NAMES, tf.unstack(rules[:, :, None, None]), strict=True))
    t = steps[:, None, None]
    correction = tf.sqrt(1.0 - tf.pow(rule["beta_2"], t)) / (1.0 - tf.pow(rule["beta_1"], t))
    scale = rule["scale"] + rule["corrected_scale"] * correction
    # Said once: each operation costs a third of a millisecond to trace.
    by_moment, fades, zero = rule["by_moment"] > 0, rule["square_fades"] > 0, tf.zeros((), key.dtype)
    kernels = _kernels(key)
    new_weights, first, second = [], list[Any](), list[Any]()
    for position, (weight, raw) in enumerate(zip(weights, gradients, strict=True)):
        decays = position in kernels
        gradient = raw + 2.0 * rule["l2"] * weight if decays and key.features.l2 else raw
        step = gradient
        if key.features.first:
            before = moments.first[position]
            m = before + rule["pull"] * (rule["aim"] * gradient - before)
            first.append(m)
            step = tf.where(by_moment, m + rule["look_ahead"] * (m - before), gradient)
        squares = rule["inside"]
        if key.features.second:
            v = moments.second[position]
            v = v + rule["square_pull"] * (tf.square(gradient) - tf.where(fades, v, zero))
            second.append(v)
            squares = v + squares
        # Divided even where that is by 1, so that a member's last bits do not depend on its neighbours' optimisers.
        step = scale * step / (tf.sqrt(squares) + rule["outside"])
        new_weights.append((weight - weight * rule["shrink"] if decays else weight) - step)
    return new_weights, Moments(first, second)


def kernel_squares(key: ProgramKey, weights: Sequence[Any]) -> Any:
    """Return the sum of squared kernels of each member, (K,)."""
    squares = [tf.reduce_sum(tf.square(weights[position]), axis=(1, 2)) for position in sorted(_kernels(key))]
    return tf.add_n(squares)


def _kernels(key: ProgramKey) -> frozenset[int]:
    per_layer = 4 if key.features.batch_norm else 2
    return frozenset(per_layer * number for number in range(key.depth + 1))
