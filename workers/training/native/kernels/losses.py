"""Losses of a batch and their gradients by the raw outputs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from workers.training.native.kernels.options import HELPER
from workers.training.native.kernels.scalars import exp, sigmoid, typed

TASKS: Final[dict[str, int]] = {"multiclass": 0, "binary": 1, "regression": 2}
MULTICLASS: Final = TASKS["multiclass"]
BINARY: Final = TASKS["binary"]


@njit(**HELPER)
def loss_and_gradient(task: int, raw: Any, codes: Any, values: Any, rows: Any, gradient: Any) -> float:
    """Return the sum of the rows' losses, and write the gradient of their mean.

    Args:
        task: One of `TASKS`.
        raw: (b, k) logits, or standardised values.
        codes: (n,) int32 classes of all rows, for multiclass.
        values: (n,) targets of all rows otherwise.
        rows: (b,) int64: which rows they are.
        gradient: (b, k), by the raw outputs.
    """
    b, k = raw.shape
    total = 0.0
    share = typed(1.0 / b, raw[0, 0])
    if task == MULTICLASS:
        for i in range(b):
            largest = raw[i, 0]
            for j in range(k):
                largest = raw[i, j] if not raw[i, j] <= largest else largest
            s = typed(0.0, largest)
            for j in range(k):
                e = exp(raw[i, j] - largest)
                gradient[i, j] = e
                s += e
            code = codes[rows[i]]
            total += np.log(s) - (raw[i, code] - largest)
            inverse = share / s
            for j in range(k):
                gradient[i, j] *= inverse
            gradient[i, code] -= share
    elif task == BINARY:
        for i in range(b):
            x, y = raw[i, 0], values[rows[i]]
            total += max(x, typed(0.0, x)) - x * y + np.log1p(exp(-abs(x)))
            gradient[i, 0] = (sigmoid(x) - y) * share
    else:
        for i in range(b):
            error = raw[i, 0] - values[rows[i]]
            total += error * error
            gradient[i, 0] = typed(2.0, error) * error * share
    return total
