"""Dropout masks: the right rate, and a function of trial, layer and step alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest


def _kept(
    seeds: Sequence[int],
    steps: Sequence[int],
    rate: float,
    n_rows: int = 64,
    n_units: int = 128,
    batch_size: int | None = None,
) -> npt.NDArray[np.bool_]:
    import tensorflow as tf

    from workers.training.fused.graph import masks

    keys = masks.step_keys(tf.constant(seeds, tf.uint32), tf.constant(steps, tf.uint32))
    thresholds = tf.constant([masks.threshold_of(rate)] * len(seeds), tf.uint32)
    batch_sizes = tf.constant([batch_size or n_rows] * len(seeds), tf.int32)
    return np.asarray(masks.kept(keys, thresholds, batch_sizes, n_rows, n_units))


@pytest.mark.parametrize("rate", [0.01, 0.2, 0.5, 0.93])
def test_the_rate_is_met(rate: float) -> None:
    kept = _kept(range(16), [3] * 16, rate)
    n = kept.size
    assert abs(kept.mean() - (1 - rate)) < 4 * np.sqrt(rate * (1 - rate) / n)
    # Each member, each row and each unit on its own, too.
    for axes in ((1, 2), (0, 2), (0, 1)):
        means = kept.mean(axis=axes)
        assert np.abs(means - (1 - rate)).max() < 5 * np.sqrt(rate * (1 - rate) / (n / means.size))


def test_nothing_is_dropped_at_rate_0() -> None:
    assert _kept([5], [1], 0.0).all()


def test_a_mask_does_not_depend_on_slot_or_number_of_members() -> None:
    alone = _kept([77], [9], 0.4)[0]
    among = _kept([3, 4, 77, 5, 77], [9, 1, 9, 9, 9], 0.4)
    assert np.array_equal(alone, among[2])
    assert np.array_equal(alone, among[4])
    assert not np.array_equal(alone, among[0])


def test_a_mask_does_not_depend_on_padding() -> None:
    own = _kept([1], [1], 0.4, n_units=64)
    assert np.array_equal(own, _kept([1], [1], 0.4, n_units=256)[:, :, :64])
    assert np.array_equal(own, _kept([1], [1], 0.4, n_rows=100, n_units=70, batch_size=64)[:, :64, :64])


def test_masks_of_other_trials_and_steps_are_unrelated() -> None:
    n = 24
    seeds, steps = np.divmod(np.arange(n * n), n)
    kept = _kept(seeds.tolist(), (steps + 1).tolist(), 0.5, 16, 64).reshape(n * n, -1) * 2.0 - 1.0
    correlation = kept @ kept.T / kept.shape[1]
    np.fill_diagonal(correlation, 0)
    # 165,600 pairs of 1,024 coins each: 5.5 standard deviations are exceeded once in 26,000,000.
    assert np.abs(correlation).max() < 5.5 / np.sqrt(kept.shape[1])


def test_masks_of_neighbouring_units_and_rows_are_unrelated() -> None:
    kept = _kept(range(64), [1] * 64, 0.5) * 2.0 - 1.0
    n = kept.size
    for shift, axis in ((1, 1), (1, 2), (2, 1), (2, 2), (32, 1), (64, 2)):
        assert abs((kept * np.roll(kept, shift, axis)).mean()) < 5 / np.sqrt(n)


def test_compiled_and_uncompiled_masks_agree() -> None:
    import tensorflow as tf

    from workers.training.fused.graph import masks

    def draw(seeds: Any, steps: Any) -> Any:
        return masks.kept(
            masks.step_keys(seeds, steps), tf.constant([2**31, 2**30], tf.uint32), tf.constant([8, 5]), 8, 16
        )

    arguments = tf.constant([1, 2], tf.uint32), tf.constant([5, 6], tf.uint32)
    compiled = tf.function(draw, jit_compile=True)(*arguments).numpy()
    assert np.array_equal(compiled, draw(*arguments).numpy())
