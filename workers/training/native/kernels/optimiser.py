"""One step of any optimiser over flat weights: the formula of `workers.training.engine.optimizer_coefficients`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from workers.training.engine.optimizer_coefficients import NAMES
from workers.training.native.kernels.options import HELPER
from workers.training.native.kernels.scalars import typed

(
    PULL, AIM, LOOK_AHEAD, BY_MOMENT, SQUARE_PULL, SQUARE_FADES, SCALE, CORRECTED_SCALE, INSIDE, OUTSIDE, BETA_1,
    BETA_2, SHRINK, L2,
) = range(len(NAMES))  # fmt: skip


@njit(**HELPER)
def take_step(weights: Any, gradient: Any, first: Any, second: Any, rule: Any, step: int, n_kernel: int) -> float:
    """Take one step, and return the sum of the squared kernels before it, or 0 without L2.

    Args:
        weights: (n,), kernels in front.
        gradient: (n,) of the mean loss without its L2 term; overwritten.
        first: (n,) first moments, or (0,) for optimisers without.
        second: (n,) second moments, or (0,) for optimisers without.
        rule: (14,) float64 coefficients in the order of `NAMES`.
        step: From 1.
        n_kernel: How many of the weights are kernels, which alone decay.
    """
    like = weights[0]
    squares = 0.0
    if rule[L2] > 0:
        squares = _add_decay(weights[:n_kernel], gradient[:n_kernel], typed(2.0 * rule[L2], like))
    if rule[SHRINK] > 0:
        keep = typed(rule[SHRINK], like)
        for i in range(n_kernel):
            weights[i] -= weights[i] * keep
    scale = rule[SCALE]
    if rule[CORRECTED_SCALE] > 0:
        scale += rule[CORRECTED_SCALE] * np.sqrt(1.0 - rule[BETA_2] ** step) / (1.0 - rule[BETA_1] ** step)
    _move(weights, gradient, first, second, rule, typed(scale, like))
    return squares


@njit(**HELPER)
def _add_decay(weights: Any, gradient: Any, factor: Any) -> float:
    squares = 0.0
    # In blocks: a float32 sum over all weights would lose digits, a float64 sum is not vectorised with float32 data.
    for start in range(0, weights.size, 1024):
        part = typed(0.0, factor)
        for i in range(start, min(start + 1024, weights.size)):
            part += weights[i] * weights[i]
            gradient[i] += factor * weights[i]
        squares += part
    return squares


@njit(**HELPER)
def _move(weights: Any, gradient: Any, first: Any, second: Any, rule: Any, scale: Any) -> None:
    n = weights.size
    pull, aim, ahead = typed(rule[PULL], scale), typed(rule[AIM], scale), typed(rule[LOOK_AHEAD], scale)
    square_pull = typed(rule[SQUARE_PULL], scale)
    inside, outside = typed(rule[INSIDE], scale), typed(rule[OUTSIDE], scale)
    if first.size == 0 and second.size == 0:
        for i in range(n):
            weights[i] -= scale * gradient[i]
    elif second.size == 0:
        for i in range(n):
            change = pull * (aim * gradient[i] - first[i])
            first[i] += change
            weights[i] -= scale * (first[i] + ahead * change)
    elif first.size == 0:
        fades = typed(rule[SQUARE_FADES], scale)
        for i in range(n):
            second[i] += square_pull * (gradient[i] * gradient[i] - fades * second[i])
            weights[i] -= scale * gradient[i] / (np.sqrt(second[i] + inside) + outside)
    else:
        for i in range(n):
            first[i] += pull * (gradient[i] - first[i])
            second[i] += square_pull * (gradient[i] * gradient[i] - second[i])
            weights[i] -= scale * first[i] / (np.sqrt(second[i] + inside) + outside)
