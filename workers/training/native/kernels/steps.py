"""The two kernels Python calls: some gradient steps of one network, and its outputs for some rows.

A network is a table, one row for each affine layer, of widths and of where its numbers lie in flat arrays; see
`workers.training.native.layout`, which makes it. Results are in the type of the weights; losses add up in float64.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from workers.training.engine.optimizer_coefficients import NAMES
from workers.training.native.kernels.activations import activate, activate_and_differentiate
from workers.training.native.kernels.dropout import drop
from workers.training.native.kernels.losses import loss_and_gradient
from workers.training.native.kernels.normalisation import normalise, normalise_back, normalise_by_averages
from workers.training.native.kernels.optimiser import take_step
from workers.training.native.kernels.options import HELPER, KERNEL
from workers.training.native.kernels.subnormal import flush_subnormals, restore_subnormals
from workers.training.native.layout import COLUMNS, NOWHERE

(
    N_IN, N_OUT, KERNEL_AT, BIAS_AT, GAMMA_AT, BETA_AT, MEAN_AT, VARIANCE_AT, OUT_AT, SLOPE_AT, BACK_AT, NORMAL_AT,
    INVERSE_AT,
) = range(len(COLUMNS))  # fmt: skip
_L2: Final = NAMES.index("l2")


@njit(**HELPER)
def _block(flat: Any, start: int, n: int, k: int) -> Any:
    return flat[start : start + n * k].reshape(n, k)


@njit(**HELPER)
def _add_bias(x: Any, bias: Any) -> None:
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] += bias[j]


@njit(**HELPER)
def _multiply(x: Any, factor: Any) -> None:
    for i in range(x.size):
        x[i] *= factor[i]


@njit(**HELPER)
def _column_sums(x: Any, sums: Any) -> None:
    sums[:] = 0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            sums[j] += x[i, j]


@njit(**HELPER)
def _forward(
    rows: Any, weights: Any, averages: Any, work: Any, table: Any, activation: int, seeds: Any, thresholds: Any,
    scales: Any, step: Any, batch_size: int,
) -> Any:  # fmt: skip
    """Return the raw outputs of a batch in training, having left behind what the way back needs."""
    depth = table.shape[0] - 1
    b = rows.shape[0]
    inputs = rows
    for layer in range(depth):
        at = table[layer]
        n, k = at[N_IN], at[N_OUT]
        # Before the activation the rows lie where their gradients will. Not where they or their slopes go: loops that
        # read and write one place are not vectorised.
        x = _block(work, at[BACK_AT], b, k)
        np.dot(inputs, _block(weights, at[KERNEL_AT], n, k), x)
        _add_bias(x, weights[at[BIAS_AT] : at[BIAS_AT] + k])
        if at[GAMMA_AT] != NOWHERE:
            normalise(
                x,
                _block(work, at[NORMAL_AT], b, k),
                work[at[INVERSE_AT] : at[INVERSE_AT] + k],
                weights[at[GAMMA_AT] : at[GAMMA_AT] + k],
                weights[at[BETA_AT] : at[BETA_AT] + k],
                averages[at[MEAN_AT] : at[MEAN_AT] + k],
                averages[at[VARIANCE_AT] : at[VARIANCE_AT] + k],
            )
        y, slope = _block(work, at[OUT_AT], b, k), _block(work, at[SLOPE_AT], b, k)
        activate_and_differentiate(activation, x.reshape(b * k), y.reshape(b * k), slope.reshape(b * k))
        if thresholds[1] > 0:
            drop(y, slope, seeds[layer + 1], step, thresholds[1], scales[1], batch_size)
        inputs = y
    at = table[depth]
    n, k = at[N_IN], at[N_OUT]
    raw = _block(work, at[OUT_AT], b, k)
    np.dot(inputs, _block(weights, at[KERNEL_AT], n, k), raw)
    _add_bias(raw, weights[at[BIAS_AT] : at[BIAS_AT] + k])
    return raw


@njit(**HELPER)
def _back(rows: Any, weights: Any, gradient: Any, work: Any, table: Any) -> None:
    """Write the gradient of all weights; that by the raw outputs lies where `loss_and_gradient` wrote it."""
    b = rows.shape[0]
    for layer in range(table.shape[0] - 1, -1, -1):
        at = table[layer]
        n, k = at[N_IN], at[N_OUT]
        d = _block(work, at[BACK_AT], b, k)
        if at[GAMMA_AT] != NOWHERE:
            normalise_back(
                d,
                _block(work, at[NORMAL_AT], b, k),
                work[at[INVERSE_AT] : at[INVERSE_AT] + k],
                weights[at[GAMMA_AT] : at[GAMMA_AT] + k],
                gradient[at[GAMMA_AT] : at[GAMMA_AT] + k],
                gradient[at[BETA_AT] : at[BETA_AT] + k],
            )
        inputs = rows
        if layer > 0:
            inputs = _block(work, table[layer - 1][OUT_AT], b, n)
        np.dot(inputs.T, d, _block(gradient, at[KERNEL_AT], n, k))
        _column_sums(d, gradient[at[BIAS_AT] : at[BIAS_AT] + k])
        if layer > 0:
            before = table[layer - 1]
            back = work[before[BACK_AT] : before[BACK_AT] + b * n]
            np.dot(d, _block(weights, at[KERNEL_AT], n, k).T, back.reshape(b, n))
            _multiply(back, work[before[SLOPE_AT] : before[SLOPE_AT] + b * n])


@njit(**KERNEL)
def train_steps(
    inputs: Any, codes: Any, values: Any, order: Any, first_row: int, n_rows: int, batch_size: int, loss: int,
    activation: int, table: Any, weights: Any, gradient: Any, first: Any, second: Any, averages: Any, work: Any,
    rule: Any, n_kernel: int, seeds: Any, thresholds: Any, scales: Any, n_steps_before: int,
) -> float:  # fmt: skip
    """Take the gradient steps of some rows of an epoch and return the sum of the rows' losses, L2 term included.

    Args:
        inputs: (n, n_inputs) of all rows.
        codes: (n,) int32 classes, for multiclass; else (0,).
        values: (n,) targets otherwise; else (0,).
        order: (n,) int64, of the whole epoch.
        first_row: Place in the order of the first row, a multiple of the batch size.
        n_rows: How many rows to visit; the last batch may be smaller.
        batch_size: Rows per step.
        loss: One of `losses.CODES`.
        activation: One of `activations.CODES`.
        table: (n_layers, len(COLUMNS)) int64.
        weights: (n_weights,), kernels in front.
        gradient: (n_weights,) work space.
        first: (n_weights,) first moments, or (0,).
        second: (n_weights,) second moments, or (0,).
        averages: Moving averages of batch normalisation.
        work: Work space; the rows of a batch lie in front.
        rule: Coefficients of the optimiser.
        n_kernel: How many of the weights are kernels.
        seeds: (n_layers,) uint32, of the dropout of the inputs and of each hidden layer.
        thresholds: (2,) uint32: of input dropout, of dropout; 0 for none.
        scales: (2,) 1 / (1 - rate) of both.
        n_steps_before: Steps taken before, in all epochs.
    """
    mode = flush_subnormals()
    n_inputs = inputs.shape[1]
    total = 0.0
    step = n_steps_before
    nothing = work[:0].reshape(0, 0)
    end = first_row + n_rows
    start = first_row
    while start < end:
        b = min(batch_size, end - start)
        chosen = order[start : start + b]
        rows = _block(work, 0, b, n_inputs)
        for i in range(b):
            rows[i, :] = inputs[chosen[i], :]
        step += 1
        if thresholds[0] > 0:
            drop(rows, nothing, seeds[0], np.uint32(step), thresholds[0], scales[0], batch_size)
        raw = _forward(
            rows, weights, averages, work, table, activation, seeds, thresholds, scales, np.uint32(step), batch_size
        )
        back = _block(work, table[-1][BACK_AT], b, table[-1][N_OUT])
        total += loss_and_gradient(loss, raw, codes, values, chosen, back)
        _back(rows, weights, gradient, work, table)
        squares = take_step(weights, gradient, first, second, rule, step, n_kernel)
        total += b * rule[_L2] * squares
        start += b
    restore_subnormals(mode)
    return total


@njit(**KERNEL)
def predict(
    inputs: Any, outputs: Any, first_row: int, n_rows: int, rows_at_once: int, activation: int, table: Any,
    weights: Any, averages: Any, work: Any,
) -> None:  # fmt: skip
    """Write the raw outputs of some rows, as in inference.

    Args:
        inputs: (n, n_inputs).
        outputs: (n, n_outputs).
        first_row: To begin with.
        n_rows: How many.
        rows_at_once: As many as the work space has room for.
        activation: One of `activations.CODES`.
        table: (n_layers, len(COLUMNS)) int64.
        weights: (n_weights,).
        averages: Moving averages of batch normalisation.
        work: Work space.
    """
    mode = flush_subnormals()
    depth = table.shape[0] - 1
    end = first_row + n_rows
    start = first_row
    while start < end:
        b = min(rows_at_once, end - start)
        x = inputs[start : start + b]
        for layer in range(depth):
            at = table[layer]
            n, k = at[N_IN], at[N_OUT]
            z, y = _block(work, at[BACK_AT], b, k), _block(work, at[OUT_AT], b, k)
            np.dot(x, _block(weights, at[KERNEL_AT], n, k), z)
            _add_bias(z, weights[at[BIAS_AT] : at[BIAS_AT] + k])
            if at[GAMMA_AT] != NOWHERE:
                normalise_by_averages(
                    z,
                    weights[at[GAMMA_AT] : at[GAMMA_AT] + k],
                    weights[at[BETA_AT] : at[BETA_AT] + k],
                    averages[at[MEAN_AT] : at[MEAN_AT] + k],
                    averages[at[VARIANCE_AT] : at[VARIANCE_AT] + k],
                )
            activate(activation, z.reshape(b * k), y.reshape(b * k))
            x = y
        at = table[depth]
        n, k = at[N_IN], at[N_OUT]
        raw = outputs[start : start + b]
        np.dot(x, _block(weights, at[KERNEL_AT], n, k), raw)
        _add_bias(raw, weights[at[BIAS_AT] : at[BIAS_AT] + k])
        start += b
    restore_subnormals(mode)
