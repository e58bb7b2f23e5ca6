"""Batch normalisation over the rows of a batch (Ioffe and Szegedy 2015, arXiv 1502.03167), forth and back."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from workers.training.engine.numerics import BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM
from workers.training.native.kernels.options import HELPER
from workers.training.native.kernels.scalars import typed

_EPSILON: Final = BATCH_NORM_EPSILON
_PULL: Final = 1.0 - BATCH_NORM_MOMENTUM


@njit(**HELPER)
def normalise(x: Any, normal: Any, inverse: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> None:
    """Normalise x in place and move the averages.

    Args:
        x: (b, k); afterwards scaled and shifted.
        normal: (b, k): gets the normalised rows, before scale and shift.
        inverse: (k,): gets one over the standard deviations.
        gamma: (k,) scale.
        beta: (k,) shift.
        mean: (k,) moving average.
        variance: (k,) moving average.
    """
    b, k = x.shape
    share = typed(1.0 / b, x[0, 0])
    pull = typed(_PULL, x[0, 0])
    centre = np.zeros(k, x.dtype)
    spread = np.zeros(k, x.dtype)
    for i in range(b):
        for j in range(k):
            centre[j] += x[i, j]
    for j in range(k):
        centre[j] *= share
    for i in range(b):
        for j in range(k):
            d = x[i, j] - centre[j]
            spread[j] += d * d
    for j in range(k):
        spread[j] *= share
        inverse[j] = typed(1.0, share) / np.sqrt(spread[j] + typed(_EPSILON, share))
        mean[j] += (centre[j] - mean[j]) * pull
        variance[j] += (spread[j] - variance[j]) * pull
    for i in range(b):
        for j in range(k):
            z = (x[i, j] - centre[j]) * inverse[j]
            normal[i, j] = z
            x[i, j] = z * gamma[j] + beta[j]


@njit(**HELPER)
def normalise_back(d: Any, normal: Any, inverse: Any, gamma: Any, d_gamma: Any, d_beta: Any) -> None:
    """Turn the gradient by the scaled rows into that by the rows before, in place, and write those of scale and shift.

    Args:
        d: (b, k).
        normal: (b, k), as `normalise` wrote them.
        inverse: (k,), likewise.
        gamma: (k,) scale.
        d_gamma: (k,): gets its gradient.
        d_beta: (k,): gets the shift's gradient.
    """
    b, k = d.shape
    share = typed(1.0 / b, d[0, 0])
    d_gamma[:] = 0
    d_beta[:] = 0
    for i in range(b):
        for j in range(k):
            d_gamma[j] += d[i, j] * normal[i, j]
            d_beta[j] += d[i, j]
    for i in range(b):
        for j in range(k):
            back = d[i, j] - share * (d_beta[j] + normal[i, j] * d_gamma[j])
            d[i, j] = inverse[j] * gamma[j] * back


@njit(**HELPER)
def normalise_by_averages(x: Any, gamma: Any, beta: Any, mean: Any, variance: Any) -> None:
    """Normalise x in place as in inference.

    Args:
        x: (b, k).
        gamma: (k,) scale.
        beta: (k,) shift.
        mean: (k,) moving average.
        variance: (k,) moving average.
    """
    b, k = x.shape
    scale = np.empty(k, x.dtype)
    shift = np.empty(k, x.dtype)
    for j in range(k):
        scale[j] = gamma[j] / np.sqrt(variance[j] + typed(_EPSILON, x[0, 0]))
        shift[j] = beta[j] - mean[j] * scale[j]
    for i in range(b):
        for j in range(k):
            x[i, j] = x[i, j] * scale[j] + shift[j]
