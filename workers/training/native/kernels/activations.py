"""Activations and their derivatives, over flat arrays: training keeps the derivative, so that nothing is recomputed."""

from __future__ import annotations

from typing import Any, Final, get_args

import numpy as np
from numba import njit

from hpsearch.domain.mlp import Activation
from workers.training.native.kernels.options import HELPER
from workers.training.native.kernels.scalars import erf, exp, sigmoid, tanh, typed

CODES: Final[dict[str, int]] = {name: code for code, name in enumerate(get_args(Activation))}
RELU: Final = CODES["relu"]
TANH: Final = CODES["tanh"]
SIGMOID: Final = CODES["sigmoid"]
ELU: Final = CODES["elu"]
GELU: Final = CODES["gelu"]
SILU: Final = CODES["silu"]
SELU: Final = CODES["selu"]

# Klambauer et al. 2017 (arXiv 1706.02515), as Keras spells them.
_SELU_ALPHA: Final = 1.6732632423543772848170429916717
_SELU_SCALE: Final = 1.0507009873554804934193349852946
_SQRT_HALF: Final = float(np.float32(np.sqrt(0.5)))
_DENSITY: Final = float(_SQRT_HALF / np.sqrt(np.pi))


@njit(**HELPER)
def _gelu(x: Any) -> Any:
    """Return x times the normal distribution's function, and its derivative (Hendrycks and Gimpel 2016)."""
    below = typed(0.5, x) * (typed(1.0, x) + erf(x * typed(_SQRT_HALF, x)))
    scaled = x * typed(_SQRT_HALF, x)
    return x * below, below + x * exp(-scaled * scaled) * typed(_DENSITY, x)


@njit(**HELPER)
def _elu(x: Any, alpha: Any, scale: Any) -> Any:
    e = scale * alpha * exp(min(x, typed(0.0, x)))
    if x > typed(0.0, x):
        return scale * x, scale
    return e - scale * alpha, e


@njit(**HELPER)
def activate(kind: int, x: Any, y: Any) -> None:
    """Write the activation of x into y.

    Args:
        kind: One of `CODES`.
        x: (n,) before.
        y: (n,) after; not x itself, or the loop is not vectorised.
    """
    n = x.size
    if kind == RELU:
        for i in range(n):
            y[i] = x[i] if not x[i] <= 0 else typed(0.0, x[i])
    elif kind == TANH:
        for i in range(n):
            y[i] = tanh(x[i])
    elif kind == SIGMOID:
        for i in range(n):
            y[i] = sigmoid(x[i])
    elif kind == ELU:
        for i in range(n):
            y[i] = _elu(x[i], typed(1.0, x[i]), typed(1.0, x[i]))[0]
    elif kind == GELU:
        for i in range(n):
            y[i] = _gelu(x[i])[0]
    elif kind == SILU:
        for i in range(n):
            y[i] = x[i] * sigmoid(x[i])
    else:
        for i in range(n):
            y[i] = _elu(x[i], typed(_SELU_ALPHA, x[i]), typed(_SELU_SCALE, x[i]))[0]


@njit(**HELPER)
def activate_and_differentiate(kind: int, x: Any, y: Any, slope: Any) -> None:
    """Write the activation of x into y and its derivative into slope.

    Args:
        kind: One of `CODES`.
        x: (n,) before.
        y: (n,) after.
        slope: (n,).
    """
    n = x.size
    if kind == RELU:
        for i in range(n):
            is_on = not x[i] <= 0
            y[i] = x[i] if is_on else typed(0.0, x[i])
            slope[i] = typed(1.0, x[i]) if is_on else typed(0.0, x[i])
    elif kind == TANH:
        for i in range(n):
            t = tanh(x[i])
            y[i] = t
            slope[i] = typed(1.0, t) - t * t
    elif kind == SIGMOID:
        for i in range(n):
            s = sigmoid(x[i])
            y[i] = s
            slope[i] = s * (typed(1.0, s) - s)
    elif kind == ELU:
        for i in range(n):
            y[i], slope[i] = _elu(x[i], typed(1.0, x[i]), typed(1.0, x[i]))
    elif kind == GELU:
        for i in range(n):
            y[i], slope[i] = _gelu(x[i])
    elif kind == SILU:
        for i in range(n):
            s = sigmoid(x[i])
            y[i] = x[i] * s
            slope[i] = s * (typed(1.0, s) + x[i] * (typed(1.0, s) - s))
    else:
        for i in range(n):
            y[i], slope[i] = _elu(x[i], typed(_SELU_ALPHA, x[i]), typed(_SELU_SCALE, x[i]))
