"""Kernels against formulas: activations and their derivatives, dropout masks, gradients of whole networks."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import scipy.special
from numba import njit

from hpsearch.domain.mlp import Activation, MlpConfig
from hpsearch.domain.task import TaskName
from workers.training.engine.rows import Part
from workers.training.engine.seeds import threshold_of
from workers.training.native.kernels.activations import CODES, activate, activate_and_differentiate
from workers.training.native.kernels.dropout import drop
from workers.training.native.kernels.scalars import erf, exp, sigmoid, tanh
from workers.training.native.kernels.subnormal import flush_subnormals, restore_subnormals
from workers.training.native.network import NativeNetwork

X = np.concatenate([np.linspace(-30, 30, 20_001), np.linspace(-1, 1, 20_001), [0.0, -0.0, 1e-20, -1e-20]])

TRUTH: dict[str, Any] = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float)),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "sigmoid": (scipy.special.expit, lambda x: scipy.special.expit(x) * scipy.special.expit(-x)),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0)))),
    "gelu": (
        lambda x: x * scipy.special.ndtr(x),
        lambda x: scipy.special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
    ),
    "silu": (
        lambda x: x * scipy.special.expit(x),
        lambda x: scipy.special.expit(x) * (1 + x * scipy.special.expit(-x)),
    ),
    "selu": (
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
        lambda x: 1.0507009873554805 * np.where(x > 0, 1, 1.6732632423543772 * np.exp(np.minimum(x, 0))),
    ),
}


@pytest.mark.parametrize("name", get_args(Activation))
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-6), ("float64", 1e-7)])
def test_activations_and_derivatives_are_those_of_the_formulas(name: str, dtype: str, bound: float) -> None:
    # In float64 GELU's constant has float32's digits, as Keras's has; the others are exact to 1e-14.
    bound = 1e-14 if dtype == "float64" and name != "gelu" else bound
    x = X.astype(dtype)
    value, slope, alone = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    activate_and_differentiate(CODES[name], x, value, slope)
    activate(CODES[name], x, alone)
    formula, derivative = TRUTH[name]
    # One may be contracted where the other is not.
    assert np.allclose(value, alone, rtol=0, atol=4 * np.finfo(dtype).eps)
    scale = np.maximum(1.0, np.abs(formula(X)))
    assert np.abs((value - formula(x.astype(float))) / scale).max() < bound
    # At 0 the derivatives of relu and its kin jump.
    smooth = X != 0
    assert np.abs(slope - derivative(x.astype(float)))[smooth].max() < bound


def test_every_activation_lets_nan_and_infinity_through() -> None:
    bad = np.array([np.nan, np.inf], np.float32)
    for name, code in CODES.items():
        value, slope = np.empty_like(bad), np.empty_like(bad)
        activate_and_differentiate(code, bad, value, slope)
        assert np.isnan(value[0]), name
        assert value[1] == (1.0 if name in ("tanh", "sigmoid") else pytest.approx(np.inf)), name


def test_functions_of_float32_are_as_exact_as_it() -> None:
    @njit
    def all_of(x: Any, out: Any) -> None:
        for i in range(x.size):
            out[0, i], out[1, i] = exp(min(x[i], x.dtype.type(10.0))), tanh(x[i])
            out[2, i], out[3, i] = sigmoid(x[i]), erf(x[i])

    x = X.astype(np.float32)
    out = np.empty((4, x.size), np.float32)
    all_of(x, out)
    exact = x.astype(float)
    truth = (np.exp(np.minimum(exact, 10)), np.tanh(exact), scipy.special.expit(exact), scipy.special.erf(exact))
    for found, expected, bound in zip(out, truth, (3e-7, 3e-7, 3e-7, 5e-7), strict=True):
        assert np.abs((found - expected) / np.maximum(1.0, expected)).max() < bound


@pytest.mark.usefixtures("_tensorflow")
def test_masks_are_those_of_the_fused_engine() -> None:
    import tensorflow as tf

    from workers.training.fused.graph import masks

    n_rows, n_units, rate = 32, 50, 0.3
    for seed, step in ((1, 1), (2**31 - 1, 77), (12345, 100_000)):
        x, slope = np.ones((n_rows, n_units), np.float32), np.full((n_rows, n_units), 2.0, np.float32)
        scale = np.float32(1 / (1 - rate))
        drop(x, slope, np.uint32(seed), np.uint32(step), np.uint32(threshold_of(rate)), scale, n_rows)
        seeds, steps = tf.constant([seed], tf.uint32), tf.constant([step], tf.uint32)
        keys = masks.step_keys(seeds, steps)
        batch_sizes = tf.constant([n_rows], tf.int32)
        kept = masks.kept(keys, tf.constant([threshold_of(rate)], tf.uint32), batch_sizes, n_rows, n_units).numpy()[0]
        assert np.array_equal(x, np.where(kept, scale, 0))
        assert np.array_equal(slope, 2 * np.where(kept, scale, 0))
        assert 0.55 < kept.mean() < 0.85
        # The units of a batch that is not full are dropped as those of a full one.
        few = np.ones((7, n_units), np.float32)
        drop(few, few[:0], np.uint32(seed), np.uint32(step), np.uint32(threshold_of(rate)), scale, n_rows)
        assert np.array_equal(few, x[:7])


def _part(task: TaskName, n: int = 23, n_inputs: int = 5) -> Part:
    random = np.random.RandomState(3)
    inputs = random.standard_normal((n, n_inputs))
    codes = random.randint(0, 4 if task == "multiclass" else 2, n)
    targets: npt.NDArray[Any] = codes.astype(np.int32)
    if task != "multiclass":
        targets = (codes if task == "binary" else random.standard_normal(n)).astype(float).reshape(-1, 1)
    return Part(inputs, targets, codes, np.arange(n))


@pytest.mark.parametrize("task", ["multiclass", "binary", "regression"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("activation", get_args(Activation))
def test_gradients_agree_with_finite_differences(task: TaskName, activation: Activation, batch_norm: bool) -> None:
    """One step of SGD moves each weight by the rate times the slope of the loss that the step itself reports."""
    part = _part(task)
    config = MlpConfig(
        units=(7, 4), activation=activation, batch_norm=batch_norm, optimizer="sgd", weight_decay=0.01, dropout=0.2,
        batch_size=100,
    )  # fmt: skip
    order = np.arange(len(part.inputs))

    def network() -> NativeNetwork:
        n_outputs = 4 if task == "multiclass" else 1
        return NativeNetwork(config, part, task, n_outputs=n_outputs, seed=2, dtype="float64")

    def loss_at(place: int, change: float) -> float:
        other = network()
        other._weights[place] += change
        return other.train(order, 0.0, lambda: None)

    moved = network()
    before = moved._weights.copy()
    moved.train(order, 1.0, lambda: None)
    gradient = before - moved._weights
    random = np.random.RandomState(1)
    places = random.permutation(np.flatnonzero(np.abs(gradient) > 1e-6))[:25]
    assert len(places) == 25
    for place in places:
        slope = (loss_at(place, 1e-6) - loss_at(place, -1e-6)) / 2e-6
        assert gradient[place] == pytest.approx(slope, rel=1e-4, abs=1e-8)


def test_subnormal_numbers_are_flushed_within_kernels_only() -> None:
    @njit
    def halved(x: Any, n: int) -> Any:
        mode = flush_subnormals()  # type: ignore[call-arg]  # numba gives the rest
        for _ in range(n):
            x[0] *= np.float32(0.5)
        restore_subnormals(mode)
        return x[0]

    tiny = np.full(1, np.finfo(np.float32).tiny, np.float32)
    assert halved(tiny.copy(), 1) == 0.0
    assert tiny[0] * np.float32(0.5) > 0.0
