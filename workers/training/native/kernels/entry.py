"""The kernels for one number type, compiled or loaded; no other types are ever compiled while training."""

from __future__ import annotations

from numba import types

from workers.training.engine.numerics import DType
from workers.training.native.kernels.steps import predict, train_steps


def load(dtype: DType) -> None:
    """Compile the kernels for a number type, or load them from where numba keeps what it has compiled.

    Args:
        dtype: Of weights and computation.
    """
    for kernel in (train_steps, predict):
        # Where numba keeps it was settled when the module was imported, perhaps before the folder was chosen.
        kernel.enable_caching()
    number = types.float32 if dtype == "float32" else types.float64
    row, matrix = number[::1], number[:, ::1]
    whole, codes, places, words = types.int64, types.int32[::1], types.int64[::1], types.uint32[::1]
    table = types.int64[:, ::1]
    train_steps.compile(
        (
            matrix, codes, row, places, whole, whole, whole, whole, whole, table, row, row, row, row, row, row,
            types.float64[::1], whole, words, words, row, whole,
        )
    )  # fmt: skip
    predict.compile((matrix, matrix, whole, whole, whole, whole, table, row, row, row))
