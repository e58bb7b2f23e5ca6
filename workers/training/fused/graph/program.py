"""Program: one epoch of a pack as one compiled TensorFlow function, evaluation of the held-out rows included."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from workers.training.engine.optimizer_coefficients import IDLE, NAMES
from workers.training.fused.graph import forward
from workers.training.fused.graph.affine import row_sum
from workers.training.fused.graph.compile_cache import clear_cache, stable_names
from workers.training.fused.graph.forward import Facts
from workers.training.fused.graph.losses import row_losses
from workers.training.fused.graph.program_key import ProgramKey
from workers.training.fused.graph.update import Moments, kernel_squares, updated

# Rows judged at a time, so that the activations of a large pack take little memory.
_JUDGED_ROWS: Final = 256
_TRACING: Final = threading.Lock()
_L2: Final = NAMES.index("l2")


@dataclass(frozen=True)
class State:
    """Everything a pack carries from epoch to epoch, on the device; see `layers_of` for the order of the lists.

    Attributes:
        weights: Trained weights.
        averages: Moving averages of batch normalisation.
        first: First moments.
        second: Second moments.
        best: One tensor (K, all weights and averages of a member, flattened): those of the best epoch so far.
    """

    weights: list[Any]
    averages: list[Any]
    first: list[Any]
    second: list[Any]
    best: list[Any]

    def parts(self) -> tuple[list[Any], ...]:
        """Return the lists in the order of the attributes."""
        return self.weights, self.averages, self.first, self.second, self.best


@dataclass(frozen=True)
class EpochInputs:
    """What one epoch is told.

    Attributes:
        order: (K, n_train) int32 row numbers, any row behind the last of an epoch.
        n_rows: () int32 rows of an epoch; steps beyond them are not taken.
        keep: (K,) bool, members whose weights now are the best so far.
        steps: (K,) int32 steps each member has taken before this epoch.
        rules: (len(NAMES), K) coefficients.
        facts: Of the members.
    """

    order: Any
    n_rows: Any
    keep: Any
    steps: Any
    rules: Any
    facts: Facts


@dataclass(frozen=True)
class EpochOutputs:
    """What one epoch came to.

    Attributes:
        train_loss: (K,) mean over the epoch's rows of the loss before each step, L2 term included.
        is_finite: (K,) bool, whether all weights and averages are.
        raw: (K, n_held_out, n_outputs) outputs for the held-out rows.
    """

    train_loss: Any
    is_finite: Any
    raw: Any


class Program:
    """A compiled epoch; safe to call from several threads.

    Args:
        key: What it is compiled for.
        cache_folder: Folder XLA keeps compiled programs in, see `compile_cache`; None if it keeps none.

    Attributes:
        has_run: Whether it is compiled.
    """

    def __init__(self, key: ProgramKey, cache_folder: Path | None = None) -> None:
        self.key = key
        # What is not compiled is not kept.
        self._cache_folder = cache_folder if key.mode == "xla" else None
        self.has_run = False
        self._traced: Any = None

    def __call__(self, data: tuple[Any, Any, Any], state: State, inputs: EpochInputs) -> tuple[State, EpochOutputs]:
        """Run one epoch.

        Args:
            data: Training inputs (n_train, n_inputs), targets (n_train,) or (n_train, 1), held-out inputs
                (n_held_out, n_inputs).
            state: Before the epoch.
            inputs: Of the epoch.
        """
        try:
            return self._run(data, state, inputs)
        except tf.errors.OpError as error:
            if self._cache_folder is None or self.has_run or isinstance(error, tf.errors.ResourceExhaustedError):
                raise
            # Perhaps a kept program that can not be read, such as one cut short by a loss of power. XLA remembers the
            # failure by the function's name; traced without a lasting one it is another.
            clear_cache(self._cache_folder)
            self._cache_folder = self._traced = None
            return self._run(data, state, inputs)

    def _run(self, data: tuple[Any, Any, Any], state: State, inputs: EpochInputs) -> tuple[State, EpochOutputs]:
        parts, train_loss, is_finite, raw = self._function(data, state, inputs)(data, state.parts(), _plain(inputs))
        self.has_run = True
        return State(*parts), EpochOutputs(train_loss, is_finite, raw)

    def _function(self, data: tuple[Any, Any, Any], state: State, inputs: EpochInputs) -> Any:
        if self._traced is None:
            function = tf.function(self._epoch, jit_compile=self.key.mode == "xla", autograph=False)
            # Tracing is Python and not meant for several threads; compiling, in the first call, is neither.
            with _TRACING:
                if self._traced is None:
                    names = nullcontext() if self._cache_folder is None else stable_names(self.key)
                    with names:
                        function.get_concrete_function(data, state.parts(), _plain(inputs))
                    self._traced = function
        return self._traced

    def _epoch(self, data: tuple[Any, Any, Any], parts: tuple[list[Any], ...], plain: tuple[Any, ...]) -> Any:
        key, state = self.key, State(*parts)
        order, n_rows, keep, steps, rules, *facts = plain
        members = Facts(*facts)
        weights, averages = state.weights, state.averages
        # One tensor, because each kernel that XLA compiles costs 10 to 20 ms.
        now = tf.concat([tf.reshape(weight, (key.n_slots, -1)) for weight in (*weights, *averages)], axis=1)
        best = [tf.where(keep[:, None], now, state.best[0])]
        # Padding of the rows (folds of unequal size) is never visited. Members with small batches take more steps than
        # others, which wait for them.
        batch_sizes = members.batch_sizes
        n_steps = tf.reduce_max((n_rows + batch_sizes - 1) // batch_sizes)
        total = tf.zeros((key.n_slots,), key.dtype)
        one = tf.cast(n_rows > 0, key.dtype)
        idle = tf.constant(IDLE.column(), key.dtype)[:, None]

        def more(i: Any, *_: Any) -> Any:
            return i < n_steps

        def step(i: Any, weights: Any, averages: Any, first: Any, second: Any, total: Any) -> Any:
            n_here = tf.clip_by_value(n_rows - i * batch_sizes, 0, batch_sizes)
            row_weights = tf.cast(tf.range(key.batch_size)[None] < n_here[:, None], key.dtype)
            places = tf.minimum((i * batch_sizes)[:, None] + tf.range(key.batch_size)[None], key.n_train - 1)
            rows = tf.gather(order, places, batch_dims=1)
            inputs, targets = tf.gather(data[0], rows), tf.gather(data[1], rows)
            number = steps + i + 1
            with tf.GradientTape() as tape:
                tape.watch(weights)
                layers = forward.layers_of(key, weights, averages)
                raw, averages = forward.train(key, layers, members, inputs, row_weights, tf.cast(number, tf.uint32))
                losses = row_losses(key, raw, targets, one)
                n_counted = tf.cast(tf.maximum(n_here, 1), key.dtype)
                mean_losses = row_sum(row_weights, losses[:, :, None])[:, 0, 0] / n_counted
                # The sum over members, not the mean: a member's gradient must not depend on how many there are.
                loss = tf.reduce_sum(mean_losses)
            gradients = tape.gradient(loss, weights)
            if key.features.l2:
                mean_losses += rules[_L2] * kernel_squares(key, weights)
            moments = Moments(first, second)
            # Who waits for the others stays exactly as it is.
            own_rules = tf.where((n_here > 0)[None], rules, idle)
            weights, moments = updated(key, own_rules, tf.cast(number, key.dtype), weights, gradients, moments)
            total = total + mean_losses * tf.cast(n_here, key.dtype)
            return i + 1, weights, averages, moments.first, moments.second, total

        _, weights, averages, first, second, total = tf.while_loop(
            more,
            step,
            (0, weights, averages, state.first, state.second, total),
            parallel_iterations=1,
        )
        layers = forward.layers_of(key, weights, averages)
        raw = _judged(key, layers, members, data[2])
        is_finite = _are_finite(key, [*weights, *averages])
        return (weights, averages, first, second, best), total / tf.cast(n_rows, key.dtype), is_finite, raw


def _plain(inputs: EpochInputs) -> tuple[Any, ...]:
    facts = inputs.facts
    return (
        inputs.order,
        inputs.n_rows,
        inputs.keep,
        inputs.steps,
        inputs.rules,
        facts.activation,
        facts.batch_norm,
        facts.depths,
        facts.batch_sizes,
        facts.units,
        facts.keep_scale,
        facts.input_keep_scale,
        facts.thresholds,
        facts.mask_seeds,
    )


def _are_finite(key: ProgramKey, weights: list[Any]) -> Any:
    """Return whether all weights of a member are finite, (K,): 0 times anything else is NaN."""
    kernels = [weight for weight in weights if weight.shape[1] > 1]
    others = [weight for weight in weights if weight.shape[1] == 1]
    nothing = [tf.matmul(tf.zeros((key.n_slots, 1, kernel.shape[1]), key.dtype), kernel) for kernel in kernels]
    nothing += [0.0 * other for other in others]
    return tf.reduce_all(tf.concat(nothing, axis=2) == 0.0, axis=(1, 2))


def _judged(key: ProgramKey, layers: list[forward.Layer], facts: Facts, rows: Any) -> Any:
    """Return the outputs for the held-out rows, (K, n_held_out, n_outputs).

    In blocks whose size is the same for packs of all sizes: a product's last bits depend on the number of its rows.
    """
    n_blocks = -(-key.n_held_out // _JUDGED_ROWS)
    if n_blocks == 1:
        return forward.infer(key, layers, facts, rows)
    size = -(-key.n_held_out // n_blocks)
    padded = tf.pad(rows, [[0, n_blocks * size - key.n_held_out], [0, 0]])
    blocks = tf.map_fn(
        lambda block: forward.infer(key, layers, facts, block),
        tf.reshape(padded, (n_blocks, size, key.n_inputs)),
        fn_output_signature=tf.TensorSpec((key.n_slots, size, key.n_outputs), key.dtype),
        parallel_iterations=1,
    )
    joined = tf.reshape(tf.transpose(blocks, (1, 0, 2, 3)), (key.n_slots, n_blocks * size, key.n_outputs))
    return joined[:, : key.n_held_out]
