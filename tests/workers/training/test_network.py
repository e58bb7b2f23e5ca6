from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from hpsearch.domain.mlp import Activation, Init, MlpConfig, Optimizer, count_weights


def build(config: MlpConfig, *, n_inputs: int = 5, n_outputs: int = 3, seed: int = 1, dtype: Any = "float32"):
    from workers.training.keras_networks.network import build_network

    return build_network(config, n_inputs=n_inputs, n_outputs=n_outputs, seed=seed, dtype=dtype)


def weights(network: Any):
    return {weight.path: np.asarray(weight.numpy()) for weight in network.trainable_variables}


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("units", [(), (4,), (7, 2, 5)])
def test_it_has_exactly_the_weights_that_the_limit_counts(units: tuple[int, ...], batch_norm: bool):
    network = build(MlpConfig(units=units, batch_norm=batch_norm))
    expected = count_weights(units, n_inputs=5, n_outputs=3, batch_norm=batch_norm)
    assert sum(weight.size for weight in weights(network).values()) == expected


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_stands_behind_each_hidden_layer(activation: Any):
    import keras

    network = build(MlpConfig(units=(4, 3), activation=activation))
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["InputLayer", "Dense", "Activation", "Dense", "Activation", "Dense"]
    x = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    expected = x
    for number in (1, 2):
        kernel, bias = (w.numpy() for w in network.get_layer(f"mlp_hidden_{number}").weights)
        expected = np.asarray(keras.activations.get(activation)(expected @ kernel + bias))
    kernel, bias = (w.numpy() for w in network.get_layer("mlp_output").weights)
    np.testing.assert_allclose(network.predict_on_batch(x), expected @ kernel + bias, rtol=1e-4, atol=1e-5)


def test_batch_normalisation_stands_before_the_activation_and_dropout_behind_it():
    network = build(MlpConfig(units=(4,), batch_norm=True, dropout=0.5, input_dropout=0.2))
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["InputLayer", "Dropout", "Dense", "BatchNormalization", "Activation", "Dropout", "Dense"]
    assert [layer.rate for layer in network.layers if hasattr(layer, "rate")] == [0.2, 0.5]


SCALES = {
    "glorot_uniform": 2 / (400 + 300),
    "glorot_normal": 2 / (400 + 300),
    "he_uniform": 2 / 400,
    "he_normal": 2 / 400,
    "lecun_uniform": 1 / 400,
    "lecun_normal": 1 / 400,
}


@pytest.mark.parametrize("init", [name for name in get_args(Init) if name != "auto"])
def test_every_initialisation_has_its_variance_and_no_bias(init: Any):
    network = build(MlpConfig(units=(300,), init=init), n_inputs=400)
    kernel, bias = (w.numpy() for w in network.get_layer("mlp_hidden_1").weights)
    assert kernel.var() == pytest.approx(SCALES[init], rel=0.03)
    assert abs(kernel.mean()) < 3 * (SCALES[init] / kernel.size) ** 0.5
    assert len(np.unique(kernel)) > 0.9 * kernel.size
    assert not bias.any()
    spread = np.abs(kernel).max() / kernel.std()
    assert spread == pytest.approx(3**0.5, rel=0.01) if init.endswith("uniform") else 2.0 < spread < 2.5


def test_auto_is_he_for_relu_and_glorot_for_tanh():
    drawn = {
        name: build(MlpConfig(units=(64,), activation=name), n_inputs=200).get_layer("mlp_hidden_1").kernel.numpy()
        for name in ("relu", "tanh", "selu")
    }
    assert drawn["relu"].var() == pytest.approx(2 / 200, rel=0.05)
    assert drawn["tanh"].var() == pytest.approx(2 / 264, rel=0.05)
    assert drawn["selu"].var() == pytest.approx(1 / 200, rel=0.05)


def test_initial_weights_depend_on_the_seed_alone():
    import keras

    config = MlpConfig(units=(8, 8))
    first = weights(build(config, seed=5))
    keras.utils.set_random_seed(99)
    build(config, seed=6)
    again = weights(build(config, seed=5))
    assert all((first[path] == again[path]).all() for path in first)
    other = weights(build(config, seed=6))
    assert all((first[path] != other[path]).any() for path in first if path.endswith("kernel"))
    # Neighbouring layers of one shape do not start equal either.
    square = weights(build(MlpConfig(units=(8, 8, 8))))
    assert (square["mlp_hidden_2/kernel"] != square["mlp_hidden_3/kernel"]).any()


def test_dropout_drops_in_training_by_the_seed_and_never_in_inference():
    x = np.ones((2_000, 5), np.float32)
    config = MlpConfig(units=(5, 5), input_dropout=0.3, dropout=0.3)

    def dropped(seed: int, number: int = 0) -> np.ndarray:
        layers = [layer for layer in build(config, seed=seed).layers if hasattr(layer, "rate")]
        return np.asarray(layers[number](x, training=True).numpy())

    for number in (0, 1, 2):
        assert (dropped(1, number) == dropped(1, number)).all()
        assert (dropped(1, number) != dropped(2, number)).any()
        assert (dropped(1, number) == 0).mean() == pytest.approx(0.3, abs=0.02)
    assert (dropped(1, 0) != dropped(1, 1)).any()
    assert (dropped(1, 1) != dropped(1, 2)).any()
    network = build(config)
    plain = build(MlpConfig(units=(5, 5)))
    plain.set_weights(network.get_weights())
    assert (network.predict_on_batch(x[:5]) == plain.predict_on_batch(x[:5])).all()


def test_every_optimiser_is_kerass_own():
    from workers.training.keras_networks.network import build_optimizer

    names = {}
    for name in get_args(Optimizer):
        config = MlpConfig(units=(3,), optimizer=name, momentum=0.7, learning_rate=0.02)
        optimizer = build_optimizer(config, build(config))
        assert optimizer.built
        assert float(optimizer.learning_rate) == pytest.approx(0.02)
        names[name] = (
            type(optimizer).__name__,
            getattr(optimizer, "momentum", None),
            getattr(optimizer, "nesterov", None),
        )
    assert names == {
        "sgd": ("SGD", 0.0, False),
        "momentum": ("SGD", 0.7, False),
        "nesterov": ("SGD", 0.7, True),
        "adagrad": ("Adagrad", None, None),
        "rmsprop": ("RMSprop", 0.0, None),
        "adam": ("Adam", None, None),
        "adamw": ("AdamW", None, None),
    }
