"""NativeNetwork: the arrays of one network in training, and the kernels' calls on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.task import TASKS, TaskName
from workers.training.engine.initial import initial_kernels
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.optimizer_coefficients import ADAGRAD_START, keeps_first, keeps_second, rule_of
from workers.training.engine.rows import Part
from workers.training.engine.seeds import derive_seed, threshold_of
from workers.training.native.kernels import losses
from workers.training.native.kernels.activations import CODES
from workers.training.native.kernels.steps import predict, train_steps
from workers.training.native.layout import Layout

# Floating-point operations of one call, about 20 ms of work: between calls the trial may be stopped.
_OPERATIONS_A_CALL: Final = 5e8
# Rows judged at a time, where batches are smaller.
_JUDGED_ROWS: Final = 256


class NativeNetwork:
    """One network in training, alone with its memory.

    Args:
        config: The network.
        part: Rows to train on, at least 1.
        task: Of the study.
        n_outputs: Width of the output.
        seed: Of the fold.
        dtype: Of weights and computation; that of the rows.

    Raises:
        MemoryError: Its arrays do not fit.
    """

    def __init__(
        self, config: MlpConfig, part: Part, task: TaskName, *, n_outputs: int, seed: int, dtype: DType
    ) -> None:
        n_rows, n_inputs = part.inputs.shape
        self.n_rows: int = n_rows
        self.batch_size = min(config.batch_size, n_rows)
        self.layout = layout_of(config, n_rows=n_rows, n_inputs=n_inputs, n_outputs=n_outputs)
        self._config = config
        self._part = part
        self._loss = losses.CODES[TASKS[task].loss]
        self._activation = CODES[config.activation]
        self._n_outputs = n_outputs
        has_codes = TASKS[task].has_output_per_class
        self._codes = part.targets if has_codes else np.empty(0, np.int32)
        self._values = np.empty(0, dtype) if has_codes else part.targets.reshape(-1)
        n = self.layout.n_weights
        self._weights, self._gradient = np.empty(n, dtype), np.zeros(n, dtype)
        self._averages = np.empty(self.layout.n_averages, dtype)
        self._first = np.zeros(n if keeps_first(config.optimizer) else 0, dtype)
        start = ADAGRAD_START if config.optimizer == "adagrad" else 0.0
        self._second = np.full(n if keeps_second(config.optimizer) else 0, start, dtype)
        self._work = np.zeros(self.layout.n_work, dtype)
        self._best = (np.empty(0, dtype), np.empty(0, dtype))
        kernels = initial_kernels(config, n_inputs=n_inputs, n_outputs=n_outputs, seed=seed, dtype=dtype)
        self.layout.write(self._weights, self._averages, kernels)
        depth = len(config.units)
        self._seeds = np.array([derive_seed(seed, "dropout", layer) for layer in range(depth + 1)], np.uint32)
        rates = (config.input_dropout, config.dropout if depth else 0.0)
        self._thresholds = np.array([threshold_of(rate) for rate in rates], np.uint32)
        self._scales = np.array([1.0 / (1.0 - rate) for rate in rates], dtype)
        self._n_steps = 0

    def train(self, order: npt.NDArray[np.int64], rate: float, check_stop: Callable[[], None]) -> float:
        """Train one epoch and return the mean over its rows of the loss before each step, L2 term included.

        Args:
            order: Of the rows, a permutation.
            rate: The learning rate, as the type of the weights holds it.
            check_stop: Called between steps, every few hundredths of a second; may raise to stop in mid-epoch.
        """
        rule = np.array(rule_of(self._config, rate).column())
        step_operations = 6.0 * self.layout.n_weights * self.batch_size
        n_rows_a_call = max(1, int(_OPERATIONS_A_CALL / step_operations)) * self.batch_size
        total = 0.0
        for first_row in range(0, self.n_rows, n_rows_a_call):
            if first_row:
                check_stop()
            n_rows = min(n_rows_a_call, self.n_rows - first_row)
            loss: float = train_steps(
                self._part.inputs, self._codes, self._values, order, first_row, n_rows, self.batch_size, self._loss,
                self._activation, self.layout.table, self._weights, self._gradient, self._first, self._second,
                self._averages, self._work, rule, self.layout.n_kernel, self._seeds, self._thresholds, self._scales,
                self._n_steps,
            )  # fmt: skip
            total += loss
            self._n_steps += -(-n_rows // self.batch_size)
        return total / self.n_rows

    def outputs(
        self, inputs: npt.NDArray[Any], check_stop: Callable[[], None] = lambda: None, *, best: bool = False
    ) -> npt.NDArray[Any]:
        """Return the raw outputs of rows, (n, n_outputs).

        Args:
            inputs: (n, n_inputs) of the network's type.
            check_stop: As in `train`.
            best: By the weights kept as the best, instead of those now.
        """
        weights, averages = self._best if best else (self._weights, self._averages)
        at_once = self.layout.rows_at_once
        operations = 2.0 * self.layout.n_weights * at_once
        n_rows_a_call = max(1, int(_OPERATIONS_A_CALL / operations)) * at_once
        found = np.empty((len(inputs), self._n_outputs), inputs.dtype)
        for first_row in range(0, len(inputs), n_rows_a_call):
            if first_row:
                check_stop()
            n_rows = min(n_rows_a_call, len(inputs) - first_row)
            predict(
                inputs, found, first_row, n_rows, at_once, self._activation, self.layout.table, weights, averages,
                self._work,
            )  # fmt: skip
        return found

    @property
    def is_finite(self) -> bool:
        """Whether all weights and averages are."""
        return bool(np.isfinite(self._weights).all() and np.isfinite(self._averages).all())

    def keep(self) -> None:
        """Remember the weights now as the best."""
        if not self._best[0].size:
            self._best = (self._weights.copy(), self._averages.copy())
        else:
            np.copyto(self._best[0], self._weights)
            np.copyto(self._best[1], self._averages)

    def free(self) -> None:
        """Let go of what only training needs; the best weights stay."""
        self._gradient = self._first = self._second = self._weights[:0]

    def keras_weights(self) -> Arrays:
        """Return the best weights in the order `keras.Model.set_weights` wants."""
        return self.layout.keras_weights(*self._best)


def layout_of(config: MlpConfig, *, n_rows: int, n_inputs: int, n_outputs: int) -> Layout:
    """Return the layout of a network with room for a batch, and for judging some hundred rows at a time."""
    at_once = max(min(config.batch_size, n_rows), _JUDGED_ROWS)
    return Layout.of(config, n_inputs=n_inputs, n_outputs=n_outputs, rows_at_once=at_once)
