"""Number types and the constants of Keras that every engine computes with."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy.typing as npt

DType = Literal["float32", "float64"]
Arrays = list[npt.NDArray[Any]]

# Keras's own default, 0.99, needs hundreds of steps before the moving averages mean anything; a small data set has a
# few steps per epoch, and early stopping would judge the network by averages that are not there yet.
BATCH_NORM_MOMENTUM: Final = 0.9
# Keras's default.
BATCH_NORM_EPSILON: Final = 1e-3
