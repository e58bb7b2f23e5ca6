"""The loss of each row, its last bits independent of how many members there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import tensorflow as tf

from hpsearch.domain.task import TASKS, Loss
from workers.training.fused.graph.program_key import ProgramKey


def row_losses(key: ProgramKey, raw: Any, targets: Any, one: Any) -> Any:
    """Return the loss of each row, (K, B).

    Args:
        key: Of the program; its task decides.
        raw: (K, B, n_outputs) logits, or standardised values.
        targets: (K, B) int class numbers of a multiclass task, else (K, B, 1).
        one: () 1, but not known to be when XLA compiles.
    """
    return _LOSSES[TASKS[key.task].loss](raw, targets, one)


def _binary_crossentropy(raw: Any, targets: Any, _one: Any) -> Any:
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=targets, logits=raw), axis=-1)


def _mean_squared_error(raw: Any, targets: Any, _one: Any) -> Any:
    return tf.reduce_mean(tf.math.squared_difference(raw, targets), axis=-1)


def _categorical_crossentropy(raw: Any, targets: Any, one: Any) -> Any:
    """Return what `tf.nn.sparse_categorical_crossentropy_with_logits` does.

    That adds the classes up in an order that changes where a pack has 4,096 rows in a batch. A product with a column of
    ones does not; they are not known when XLA compiles, lest it make a plain sum of it.
    """
    n_classes = raw.shape[2]
    chosen = tf.one_hot(targets, n_classes, dtype=raw.dtype)

    @tf.custom_gradient
    def losses(raw: Any) -> Any:
        shifted = raw - tf.reduce_max(raw, axis=2, keepdims=True)
        exponentials = tf.exp(shifted)
        total = tf.matmul(exponentials, tf.broadcast_to(one, (raw.shape[0], n_classes, 1)))
        # One summand is not zero, so the order does not matter.
        right = tf.reduce_sum(shifted * chosen, axis=2)

        def gradients(upstream: Any) -> Any:
            return (exponentials / total - chosen) * upstream[:, :, None]

        return tf.math.log(total)[:, :, 0] - right, gradients

    return losses(raw)


_LOSSES: Final[dict[Loss, Callable[[Any, Any, Any], Any]]] = {
    "categorical_crossentropy": _categorical_crossentropy,
    "binary_crossentropy": _binary_crossentropy,
    "mean_squared_error": _mean_squared_error,
}
