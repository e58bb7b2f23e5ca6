"""MlpConfig and the flat parameters it is made of: names of widths, defaults, bounds, and the count of weights."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hpsearch.domain.layer_widths import is_width, layer_of, width_name
from hpsearch.domain.mlp import MAX_LAYERS, MlpConfig, count_weights, units_of

WIDTHS = st.lists(st.integers(1, 512), min_size=1, max_size=6)


@given(st.integers(1, 10_000))
def test_the_name_of_a_layers_width_names_the_layer(layer: int):
    assert layer_of(width_name(layer)) == layer
    assert is_width(width_name(layer))


@pytest.mark.parametrize(
    "name", ["units", "units_", "units_0", "units_01", "units_1x", "units_\u0661", "layers", "my_units_1"]
)
def test_other_names_are_no_layers_width(name: str):
    assert layer_of(name) is None
    assert is_width(name) == (name == "units")


@given(WIDTHS)
def test_widths_by_layer_make_the_network(widths: list[int]):
    numbered = {width_name(layer): width for layer, width in enumerate(widths, 1)}
    assert MlpConfig.from_params(numbered).units == tuple(widths)
    assert MlpConfig.from_params({**numbered, "layers": len(widths)}).units == tuple(widths)


@given(n_layers=st.integers(0, MAX_LAYERS), width=st.integers(1, 512))
def test_one_width_holds_for_all_layers(n_layers: int, width: int):
    assert MlpConfig.from_params({"layers": n_layers, "units": width}).units == (width,) * n_layers


@given(widths=WIDTHS, n_layers=st.integers(1, 6))
def test_layers_beyond_the_depth_are_ignored_and_missing_ones_take_the_shared_width(widths: list[int], n_layers: int):
    params = {width_name(layer): width for layer, width in enumerate(widths, 1)} | {"layers": n_layers, "units": 7}
    assert units_of(params) == tuple((widths + [7] * n_layers)[:n_layers])


def test_names_left_out_take_the_defaults():
    assert MlpConfig.from_params({}) == MlpConfig()


@pytest.mark.parametrize(
    "params",
    [
        {"unknown": 1},
        {"units_0": 8},
        {"layers": MAX_LAYERS + 1},
        {"units": 0},
        {"dropout": 1.0},
        {"learning_rate": 0.0},
        {"batch_size": 0},
        {"momentum": 1.0},
        {"activation": "swish"},
        {"lr_decay_factor": 0.0},
        {"batch_norm": 1},
    ],
    ids=str,
)
def test_a_value_beyond_its_bounds_or_an_unknown_name_is_refused(params: dict[str, Any]):
    with pytest.raises(ValidationError):
        MlpConfig.from_params(params)


@pytest.mark.parametrize(
    ("activation", "init"),
    [("relu", "he_uniform"), ("gelu", "he_uniform"), ("selu", "lecun_normal"), ("tanh", "glorot_uniform")],
)
def test_auto_takes_the_initialisation_that_suits_the_activation(activation: Any, init: str):
    assert MlpConfig(activation=activation).resolved_init == init
    assert MlpConfig(activation=activation, init="lecun_uniform").resolved_init == "lecun_uniform"


@given(units=WIDTHS, n_inputs=st.integers(1, 50), n_outputs=st.integers(1, 10), batch_norm=st.booleans())
def test_weights_are_counted_layer_by_layer(units: list[int], n_inputs: int, n_outputs: int, *, batch_norm: bool):
    total, fan_in = 0, n_inputs
    for width in units:
        total += fan_in * width + width + (2 * width if batch_norm else 0)
        fan_in = width
    total += fan_in * n_outputs + n_outputs
    assert count_weights(tuple(units), n_inputs=n_inputs, n_outputs=n_outputs, batch_norm=batch_norm) == total


def test_a_linear_model_has_one_kernel_and_its_biases():
    assert count_weights((), n_inputs=4, n_outputs=3, batch_norm=True) == 15


def test_weights_are_counted_as_keras_counts_them() -> None:
    # 64-32-16-10: (64+1)*32 + (32+1)*16 + (16+1)*10, and scale and shift of 48 units.
    assert count_weights((32, 16), n_inputs=64, n_outputs=10, batch_norm=False) == 2080 + 528 + 170
    assert count_weights((32, 16), n_inputs=64, n_outputs=10, batch_norm=True) == 2080 + 528 + 170 + 96
    assert count_weights((), n_inputs=64, n_outputs=1, batch_norm=True) == 65


def test_flat_parameters_become_a_network() -> None:
    assert MlpConfig.from_params({"layers": 3, "units": 8}).units == (8, 8, 8)
    assert MlpConfig.from_params({"layers": 2, "units_1": 4, "units_2": 6}).units == (4, 6)
    assert MlpConfig.from_params({"layers": 0}).units == ()
    assert MlpConfig.from_params({}).units == (64, 64)
    assert MlpConfig.from_params({"units_1": 5}).units == (5,)
    assert MlpConfig(activation="selu").resolved_init == "lecun_normal"
    assert MlpConfig(activation="relu").resolved_init == "he_uniform"
    assert MlpConfig(activation="tanh").resolved_init == "glorot_uniform"
    assert MlpConfig(activation="tanh", init="he_normal").resolved_init == "he_normal"
