"""The stream of mini-batches `model.fit` reads: every epoch in its own given order, without Python between steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from workers.training.engine.rows import Part


class BatchStream:
    """Endless mini-batches of some rows; each epoch is one pass, its last batch may be smaller.

    Rows stay in the host's memory; an epoch is gathered in its order at once, then cut into batches. That costs a copy
    of the rows and saves nine tenths of what `model.fit` spends between steps when it shuffles arrays itself
    (measured on digits: 38 ms an epoch against 6 ms, training included).

    Args:
        part: The rows, at least 1.
        batch_size: Rows per batch at most; more than there are rows means one batch of all.
    """

    def __init__(self, part: Part, batch_size: int) -> None:
        self.n_rows = len(part.inputs)
        self.batch_size = min(batch_size, self.n_rows)
        self.n_batches = -(-self.n_rows // self.batch_size)
        with tf.device("CPU:0"):
            self._order = tf.Variable(np.arange(self.n_rows), dtype=tf.int64, trainable=False)
            self._inputs = tf.constant(part.inputs)
            self._targets = tf.constant(part.targets)

    def set_order(self, order: npt.NDArray[np.int64]) -> None:
        """Decide the order of the next epoch; to be called before its first batch is drawn.

        Args:
            order: A permutation of range(n_rows), int64.
        """
        self._order.assign(order)

    def dataset(self) -> Any:
        """Return the `tf.data.Dataset` of (inputs, targets), endless."""

        def epoch(_: Any) -> Any:
            rows = (tf.gather(self._inputs, self._order), tf.gather(self._targets, self._order))
            return tf.data.Dataset.from_tensors(rows).rebatch(self.batch_size)

        with tf.device("CPU:0"):
            return tf.data.Dataset.range(np.iinfo(np.int64).max).flat_map(epoch).with_options(_options())


def _options() -> Any:
    options = tf.data.Options()
    options.deterministic = True
    # Nothing runs ahead: the order of an epoch is set just before its first batch.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return options
