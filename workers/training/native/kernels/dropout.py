"""Dropout by a hash of (trial, layer, step, unit): no state, and the very masks of the fused engine.

The generator is that of `workers.training.fused.graph.masks`: multiply and xor-shift, constants of the `lowbias32`
search (Wellons 2018, TheIronborn 2020).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from workers.training.native.kernels.options import HELPER
from workers.training.native.kernels.scalars import typed

_GOLDEN: Final = 0x9E3779B9
_M1: Final = 0x21F0AAAD
_M2: Final = 0x735A2D97


@njit(**HELPER)
def _mixed(x: Any) -> Any:
    x = np.uint32(x ^ (x >> np.uint32(16))) * np.uint32(_M1)
    x = np.uint32(np.uint32(x) ^ (np.uint32(x) >> np.uint32(15))) * np.uint32(_M2)
    return np.uint32(np.uint32(x) ^ (np.uint32(x) >> np.uint32(15)))


@njit(**HELPER)
def drop(x: Any, slope: Any, seed: Any, step: Any, threshold: Any, scale: Any, n_rows: int) -> None:
    """Set dropped units of x to 0 and scale the others; the same to their slopes, where there are any.

    Args:
        x: (b, k) units of the rows of a batch.
        slope: (b, k), or (0, 0).
        seed: uint32, of (trial, layer).
        step: uint32, from 1.
        threshold: uint32: units whose hash is below are dropped.
        scale: 1 / (1 - rate).
        n_rows: Rows of a full batch: a unit's number does not depend on how full its batch is.
    """
    golden = np.uint32(_GOLDEN)
    first = _mixed(np.uint32(_mixed(np.uint32(seed + golden)) ^ np.uint32(step * golden)))
    second = _mixed(np.uint32(np.uint32(first ^ seed) + step))
    has_slope = slope.size > 0
    zero = typed(0.0, scale)
    stride = np.uint32(np.uint32(n_rows) * golden)
    for i in range(x.shape[0]):
        start = np.uint32(np.uint32(np.uint32(i) * golden) + first)
        for j in range(x.shape[1]):
            h = np.uint32(start + np.uint32(np.uint32(j) * stride))
            h = np.uint32(np.uint32(h ^ (h >> np.uint32(16))) * np.uint32(_M1))
            h = np.uint32(h ^ second)
            h = np.uint32(np.uint32(h ^ (h >> np.uint32(15))) * np.uint32(_M2))
            h = np.uint32(h ^ (h >> np.uint32(15)))
            factor = scale if h >= threshold else zero
            # Chosen, not multiplied: 0 times infinity is NaN.
            x[i, j] = x[i, j] * scale if h >= threshold else zero
            if has_slope:
                slope[i, j] *= factor
