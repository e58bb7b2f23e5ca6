"""Products and sums over the rows of a batch whose last bits do not depend on how many members there are.

XLA splits a plain `reduce_sum` differently for packs of different sizes; a product with a row of ones is computed member
by member, always the same way. So every sum that reaches the weights is such a product.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


@tf.custom_gradient
def affine(x: Any, kernel: Any, bias: Any) -> Any:
    """Return `x kernel + bias` of each member: (K, B, n_out).

    Args:
        x: (K, B, n_in).
        kernel: (K, n_in, n_out).
        bias: (K, 1, n_out).
    """

    def gradients(upstream: Any) -> tuple[Any, Any, Any]:
        return (
            tf.matmul(upstream, kernel, transpose_b=True),
            tf.matmul(x, upstream, transpose_a=True),
            tf.matmul(tf.ones((x.shape[0], 1, x.shape[1]), x.dtype), upstream),
        )

    return tf.matmul(x, kernel) + bias, gradients


def row_sum(row_weights: Any, x: Any) -> Any:
    """Return the weighted sum over rows of each member: (K, 1, n).

    Args:
        row_weights: (B,).
        x: (K, B, n).
    """
    return tf.matmul(tf.broadcast_to(row_weights[None, None], (x.shape[0], 1, x.shape[1])), x)
