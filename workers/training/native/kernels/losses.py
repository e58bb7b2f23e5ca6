"""Losses of a batch and their gradients by the raw outputs."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from hpsearch.domain.task import Loss
from workers.training.native.kernels.options import HELPER
from workers.training.native.kernels.scalars import exp, sigmoid, typed

CODES: Final[dict[Loss, int]] = {"categorical_crossentropy": 0, "binary_crossentropy": 1, "mean_squared_error": 2}
CATEGORICAL: Final = CODES["categorical_crossentropy"]
BINARY: Final = CODES["binary_crossentropy"]


@njit(**HELPER)
def loss_and_gradient(loss: int, raw: Any, codes: Any, values: Any, rows: Any, gradient: Any) -> float:
    """Return the sum of the rows' losses, and write the gradient of their mean.

    Args:
        loss: One of `CODES`.
        raw: (b, k) logits, or standardised values.
        codes: (n,) int32 classes of all rows, for categorical cross-entropy.
        values: (n,) targets of all rows otherwise.
        rows: (b,) int64: which rows they are.
        gradient: (b, k), by the raw outputs.
    """
    b, k = raw.shape
    total = 0.0
    share = typed(1.0 / b, raw[0, 0])
    if loss == CATEGORICAL:
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
    elif loss == BINARY:
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
