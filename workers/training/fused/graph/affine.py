"""Products and sums over the rows of a batch whose last bits do not depend on how many members there are.

XLA splits a plain `reduce_sum` differently for packs of different sizes; a product with a row of weights is computed
member by member, always the same way. So every sum that reaches the weights is such a product. The weights are not
known when XLA compiles, lest it make a plain sum of a product with ones.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


@tf.custom_gradient
def affine(x: Any, kernel: Any, bias: Any, row_weights: Any) -> Any:
    """Return `x kernel + bias` of each member: (K, B, n_out).

    Args:
        x: (K, B, n_in).
        kernel: (K, n_in, n_out).
        bias: (K, 1, n_out).
        row_weights: (K, B) 1, or 0 for rows whose gradient is zero.
    """

    def gradients(upstream: Any) -> tuple[Any, Any, Any, None]:
        return (
            tf.matmul(upstream, kernel, transpose_b=True),
            tf.matmul(x, upstream, transpose_a=True),
            row_sum(row_weights, upstream),
            None,
        )

    return tf.matmul(x, kernel) + bias, gradients


def row_sum(row_weights: Any, x: Any) -> Any:
    """Return the weighted sum over rows of each member: (K, 1, n).

    Args:
        row_weights: (K, B).
        x: (K, B, n).
    """
    return tf.matmul(row_weights[:, None], x)


def batch_normalised(x: Any, gamma: Any, beta: Any, row_weights: Any, *, epsilon: float) -> tuple[Any, Any, Any]:
    """Return the normalised rows of each member, and the batch's mean and variance, (K, 1, n) each.

    Rows of weight 0 count for nothing; a member without any other has mean and variance 0. No gradient flows through
    the returned mean and variance.

    Args:
        x: (K, B, n).
        gamma: (K, 1, n) scale.
        beta: (K, 1, n) shift.
        row_weights: (K, B) 1, or 0 for rows whose gradient is zero.
        epsilon: Added to the variance.
    """
    # Whole numbers, so their order does not matter.
    n_rows = tf.maximum(tf.reduce_sum(row_weights, axis=1), 1.0)[:, None, None]
    share = row_weights[:, :, None] / n_rows

    @tf.custom_gradient
    def normalise(x: Any, gamma: Any, beta: Any) -> Any:
        mean = row_sum(row_weights, x) / n_rows
        variance = row_sum(row_weights, tf.square(x - mean)) / n_rows
        inverse = tf.math.rsqrt(variance + epsilon)

        def gradients(upstream: Any, *_: Any) -> tuple[Any, Any, Any]:
            # Ioffe and Szegedy 2015 (arXiv 1502.03167), section 3, collected.
            normal = (x - mean) * inverse
            d_beta, d_gamma = row_sum(row_weights, upstream), row_sum(row_weights, upstream * normal)
            d_x = inverse * gamma * (upstream - share * (d_beta + normal * d_gamma))
            return d_x, d_gamma, d_beta

        scale = inverse * gamma
        return (x * scale + (beta - mean * scale), mean, variance), gradients

    rows, mean, variance = normalise(x, gamma, beta)
    return rows, tf.stop_gradient(mean), tf.stop_gradient(variance)
