"""Point 1: each optimiser's update in a pack is the Keras optimiser's, step by step, given the same gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

import keras
import numpy as np
import tensorflow as tf

from hpsearch.domain.mlp import MlpConfig, Optimizer
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.optimizer_coefficients import rule_of
from workers.training.engine.patience import Rate
from workers.training.fused import slots
from workers.training.fused.graph.program_key import Features, ProgramKey
from workers.training.fused.graph.update import Moments, updated
from workers.training.fused.verify import Finding
from workers.training.fused.verify.bench import gap, keras_floats
from workers.training.keras_networks.network import build_network, build_optimizer

BOUNDS: Final[dict[DType, float]] = {"float64": 1e-10, "float32": 1e-5}
_N_INPUTS: Final = 5
_N_OUTPUTS: Final = 3
_RATES: Final = {"sgd": 0.05, "momentum": 0.02, "nesterov": 0.02, "adagrad": 0.05}


def check(dtype: DType, n_steps: int) -> list[Finding]:
    """Return how far each optimiser's weights are from those of Keras, at the worst of all steps."""
    configs = [
        MlpConfig(
            units=(),
            optimizer=optimizer,
            learning_rate=_RATES.get(optimizer, 0.003),
            weight_decay=0.01 if optimizer == "adamw" else 0.0,
            momentum=0.85,
        )
        for optimizer in get_args(Optimizer)
    ]
    gradients = _gradients(n_steps, dtype)
    ours = _by_pack(configs, gradients, dtype)
    findings = []
    for place, config in enumerate(configs):
        theirs = _by_keras(config, gradients, dtype)
        worst = max(
            gap([mine[place].reshape(other.shape) for mine, other in zip(step, keras_step, strict=True)], keras_step)
            for step, keras_step in zip(ours, theirs, strict=True)
        )
        what = f"{config.optimizer}, {dtype}, {n_steps} steps of given gradients"
        findings.append(Finding(1, what, worst, BOUNDS[dtype]))
    return findings


def _gradients(n_steps: int, dtype: DType) -> list[tuple[Any, Any]]:
    random = np.random.default_rng(3)
    sizes = 10.0 ** random.uniform(-4, 1, n_steps)
    return [
        (
            (size * random.normal(size=(_N_INPUTS, _N_OUTPUTS))).astype(dtype),
            (size * random.normal(size=(_N_OUTPUTS,))).astype(dtype),
        )
        for size in sizes
    ]


def _kernel(dtype: DType) -> Any:
    return np.random.default_rng(4).normal(size=(_N_INPUTS, _N_OUTPUTS)).astype(dtype)


def _by_keras(config: MlpConfig, gradients: Sequence[tuple[Any, Any]], dtype: DType) -> list[Arrays]:
    with keras_floats(dtype):
        network = build_network(config, n_inputs=_N_INPUTS, n_outputs=_N_OUTPUTS, seed=1, dtype=dtype)
        network.set_weights([_kernel(dtype), np.zeros(_N_OUTPUTS, dtype)])
        optimizer = build_optimizer(config, network)
        variables = network.trainable_variables

        @tf.function(autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
        def step(kernel: Any, bias: Any) -> None:
            optimizer.apply([kernel, bias], variables)

        steps = []
        for kernel, bias in gradients:
            step(tf.constant(kernel), tf.constant(bias))
            steps.append([np.array(keras.ops.convert_to_numpy(variable)) for variable in variables])
    return steps


def _by_pack(configs: Sequence[MlpConfig], gradients: Sequence[tuple[Any, Any]], dtype: DType) -> list[Arrays]:
    features = Features.of(configs[0])
    for config in configs:
        features |= Features.of(config)
    n_slots = len(configs)
    key = ProgramKey("multiclass", _N_INPUTS, _N_OUTPUTS, 1, 1, 0, 0, 1, n_slots, features, 0, dtype)
    state = slots.filled(
        key, slots.empty_state(key), {k: (config, [_kernel(dtype)]) for k, config in enumerate(configs)}
    )
    rates = [Rate(config.learning_rate, None, dtype).value for config in configs]
    rules = tf.constant(
        np.array([rule_of(config, rate).column() for config, rate in zip(configs, rates, strict=True)], dtype).T
    )

    @tf.function(autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
    def step(number: Any, weights: Any, first: Any, second: Any, kernel: Any, bias: Any) -> Any:
        shared = [tf.tile(kernel[None], (n_slots, 1, 1)), tf.tile(bias[None, None], (n_slots, 1, 1))]
        moments = Moments(first, second)
        weights, moments = updated(key, rules, tf.fill((n_slots,), number), weights, shared, moments)
        return weights, moments.first, moments.second

    weights, first, second = state.weights, state.first, state.second
    steps = []
    for number, (kernel, bias) in enumerate(gradients, start=1):
        now = tf.constant(number, dtype)
        weights, first, second = step(now, weights, first, second, tf.constant(kernel), tf.constant(bias))
        steps.append([weight.numpy() for weight in weights])
    return steps
