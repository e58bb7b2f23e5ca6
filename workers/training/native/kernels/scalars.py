"""Elementary functions of one number: vectorisable polynomials in float32, the library's functions in float64.

In float32 the errors are below 3e-7 of the result (5e-7 of 1 for `erf`), about what the library's own differ by among
processors; NaN stays NaN.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

from workers.training.native.kernels.options import HELPER


@intrinsic
def _as_float32(typing_context: Any, bits: Any) -> Any:
    """Return the float32 whose bits an int32 holds."""
    del typing_context, bits

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        del context, signature
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


def typed(number: Any, like: Any) -> Any:
    """Return a number in the type of another, so that float32 is not computed in float64."""
    raise NotImplementedError


@overload(typed, strict=False)
def _typed(number: Any, like: Any) -> Any:
    del number
    if like == types.float32:
        return lambda number, like: np.float32(number)  # noqa: ARG005 - numba goes by the names
    return lambda number, like: np.float64(number)  # noqa: ARG005


@njit(**HELPER)
def _exp_float32(x: Any) -> Any:
    """Return e to the x for x of at most 88: the argument reduced by ln 2 (Cody and Waite), a polynomial (Cephes)."""
    y = max(x, np.float32(-87.3))
    n = np.floor(y * np.float32(1.44269504088896341) + np.float32(0.5))
    r = y - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    found = p * _as_float32(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))
    return found if x == x else x  # noqa: PLR0124 - NaN alone differs from itself


def exp(x: Any) -> Any:
    """Return e to the x, for x of at most 88."""
    raise NotImplementedError


@overload(exp, strict=False)
def _exp(x: Any) -> Any:
    if x == types.float32:
        return lambda x: _exp_float32(x)  # noqa: PLW0108 - numba wants a function of its own
    return lambda x: np.exp(x)  # noqa: PLW0108


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent."""
    raise NotImplementedError


@overload(tanh, strict=False)
def _tanh(x: Any) -> Any:
    if x != types.float32:
        return lambda x: np.tanh(x)  # noqa: PLW0108

    def single(x: Any) -> Any:
        # Near 0 the quotient below would cancel: there a polynomial (Cephes).
        s = x * x
        p = np.float32(-5.70498872745e-3)
        p = p * s + np.float32(2.06390887954e-2)
        p = p * s + np.float32(-5.37397155531e-2)
        p = p * s + np.float32(1.33314422036e-1)
        p = p * s + np.float32(-3.33332819422e-1)
        near = p * s * x + x
        e = _exp_float32(np.float32(-2.0) * abs(x))
        far = (np.float32(1.0) - e) / (np.float32(1.0) + e)
        return near if abs(x) < np.float32(0.625) else (far if x > np.float32(0.0) else -far)

    return single


@njit(**HELPER)
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + e to the -x), without overflow."""
    e = exp(-abs(x))
    r = typed(1.0, x) / (typed(1.0, x) + e)
    return r if x >= typed(0.0, x) else e * r


def erf(x: Any) -> Any:
    """Return the error function."""
    raise NotImplementedError


@overload(erf, strict=False)
def _erf(x: Any) -> Any:
    if x != types.float32:
        return lambda x: math.erf(x)  # noqa: PLW0108

    def single(x: Any) -> Any:
        # Abramowitz and Stegun 1964, 7.1.26.
        t = np.float32(1.0) / (np.float32(1.0) + np.float32(0.3275911) * abs(x))
        p = np.float32(1.061405429)
        p = p * t + np.float32(-1.453152027)
        p = p * t + np.float32(1.421413741)
        p = p * t + np.float32(-0.284496736)
        p = p * t + np.float32(0.254829592)
        y = np.float32(1.0) - p * t * _exp_float32(-x * x)
        return y if x >= np.float32(0.0) else -y

    return single
