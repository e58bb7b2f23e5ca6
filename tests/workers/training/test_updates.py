"""Each optimiser's steps, weight decay included, against the formulas written out in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hpsearch.domain.mlp import MlpConfig

# Keras takes some constants through float32, also when it computes in float64: weight decay, momentum, Adagrad's first
# accumulator, and Adam's betas in the bias correction (but not in the averages).
RATE, DECAY, MOMENTUM, STEPS = 0.05, 2.0**-7, 0.75, 4


def through_float32(value: float):
    return float(np.float32(value))


class Formula:
    """One weight array's slots under one rule; Keras's default constants."""

    def __init__(self, rule: str) -> None:
        self.rule, self.m, self.v, self.t = rule, 0.0, 0.0, 0

    def step(self, w: Any, g: Any):
        self.t += 1
        return getattr(self, self.rule)(w, g)

    def sgd(self, w: Any, g: Any):
        return w - RATE * g

    def momentum(self, w: Any, g: Any):
        self.m = MOMENTUM * self.m - RATE * g
        return w + self.m

    def nesterov(self, w: Any, g: Any):
        self.m = MOMENTUM * self.m - RATE * g
        return w + MOMENTUM * self.m - RATE * g

    def adagrad(self, w: Any, g: Any):
        self.v = (self.v if self.t > 1 else through_float32(0.1)) + g**2
        return w - RATE * g / np.sqrt(self.v + 1e-7)

    def rmsprop(self, w: Any, g: Any):
        self.v = 0.9 * self.v + 0.1 * g**2
        return w - RATE * g / np.sqrt(self.v + 1e-7)

    def adam(self, w: Any, g: Any):
        self.m = 0.9 * self.m + 0.1 * g
        self.v = 0.999 * self.v + 0.001 * g**2
        first, second = through_float32(0.9) ** self.t, through_float32(0.999) ** self.t
        rate = RATE * np.sqrt(1 - second) / (1 - first)
        return w - rate * self.m / (np.sqrt(self.v) + 1e-7)

    def adamw(self, w: Any, g: Any):
        return self.adam(w, g)


@pytest.fixture
def float64():
    import keras

    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("rule", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
def test_each_step_is_the_formulas(rule: str, decay: Any, float64: None):
    from workers.training.keras_networks.network import build_loss, build_network, build_optimizer

    random = np.random.default_rng(3)
    x, y = random.normal(size=(8, 3)), random.normal(size=(8, 1))
    config = MlpConfig(units=(), optimizer=rule, learning_rate=RATE, weight_decay=decay, momentum=MOMENTUM)
    network = build_network(config, n_inputs=3, n_outputs=1, seed=1, dtype="float64")
    network.compile(build_optimizer(config, network), build_loss("regression", "float64"))
    kernel, bias = (weight.numpy() for weight in network.trainable_variables)
    bias = bias + 0.5
    network.set_weights([kernel, bias])
    of_kernel, of_bias = Formula(rule), Formula(rule)
    for _ in range(STEPS):
        network.train_on_batch(x, y)
        error = x @ kernel + bias - y
        g_kernel, g_bias = 2 * x.T @ error / len(x), 2 * error.mean(axis=0)
        if rule == "adamw":
            # Decoupled: a share of the kernel itself, apart from the gradient's moments.
            kernel = kernel - RATE * decay * kernel
        else:
            # loss + decay * sum of squares.
            g_kernel = g_kernel + 2 * decay * kernel
        kernel, bias = of_kernel.step(kernel, g_kernel), of_bias.step(bias, g_bias)
    got = [weight.numpy() for weight in network.trainable_variables]
    np.testing.assert_allclose(got[0], kernel, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(got[1], bias, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", ["sgd", "adamw"])
def test_decay_shrinks_kernels_and_spares_biases_and_batch_normalisation(rule: str):
    from workers.training.keras_networks.network import build_loss, build_network, build_optimizer

    config = MlpConfig(units=(4,), optimizer=rule, learning_rate=0.1, weight_decay=0.5, batch_norm=True)
    network = build_network(config, n_inputs=3, n_outputs=1, seed=1)
    network.compile(build_optimizer(config, network), build_loss("regression"))
    before = {weight.path: weight.numpy() + 0.25 for weight in network.trainable_variables}
    for weight in network.trainable_variables:
        weight.assign(before[weight.path])
    # Outputs at the target and inputs of zero: the data move nothing but through the output layer's bias.
    x = np.zeros((6, 3), np.float32)
    y = np.asarray(network(x, training=True).numpy())
    network.train_on_batch(x, y)
    for weight in network.trainable_variables:
        change = np.abs(weight.numpy() - before[weight.path]).max()
        if weight.path.endswith("/kernel"):
            assert change > 1e-3, weight.path
        else:
            assert change < 1e-6, weight.path
