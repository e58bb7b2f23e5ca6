"""Baselines are valid networks that say all they are, keep to the weight limit and to how the study trains."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.study import StudyDefinition
from hpsearch.sampling.baselines import linear_baseline, mlp_baseline
from hpsearch.sampling.request import NetworkShape
from hpsearch.sampling.suggest import n_weights


def definition(**space: Any) -> StudyDefinition:
    return StudyDefinition.model_validate({"name": "s", "dataset": {"builtin": "digits"}, "space": space})


def test_linear_model_has_no_hidden_layer_and_nothing_that_holds_it_back():
    params = linear_baseline(definition(layers={"values": [1, 2]}, dropout=0.5, weight_decay=0.1, learning_rate=1.0))
    network = MlpConfig.from_params(params)
    assert network.units == ()
    assert (network.dropout, network.input_dropout, network.weight_decay) == (0.0, 0.0, 0.0)
    assert (network.optimizer, network.learning_rate) == ("adam", 0.01)
    assert n_weights(params, NetworkShape(64, 10, None)) == 650


def test_default_network_is_the_default():
    params = mlp_baseline(definition(learning_rate={"values": [0.1, 0.2]}), NetworkShape(64, 10, None))
    assert MlpConfig.from_params(params) == MlpConfig()
    assert {"layers", "units", "activation", "learning_rate", "optimizer", "batch_size"} == set(params)


def test_both_keep_to_how_the_study_trains():
    fixed = {"batch_size": 16, "init": "he_normal", "lr_decay_factor": 0.3, "early_stopping_patience": 7}
    study = definition(**fixed, activation="tanh", optimizer={"values": ["sgd", "momentum"]})
    for params in (linear_baseline(study), mlp_baseline(study, NetworkShape(64, 10, None))):
        assert {name: params[name] for name in fixed} == fixed
        assert params["optimizer"] == "adam"
        MlpConfig.from_params(params)


def test_a_searched_or_conditional_batch_size_stays_the_default():
    study = definition(
        batch_size={"type": "fixed", "value": 8, "when": {"optimizer": ["sgd"]}}, optimizer={"values": ["sgd", "adam"]}
    )
    assert linear_baseline(study)["batch_size"] == 64


@pytest.mark.parametrize("max_weights", [8_970, 8_969, 5_000, 800, 160, 87, 86])
def test_default_network_is_the_largest_the_limit_allows(max_weights: int):
    shape = NetworkShape(64, 10, max_weights)
    params = mlp_baseline(definition(batch_size=64), shape)
    assert n_weights(params, shape) <= max_weights
    wider = {**params, "units": int(params["units"]) + 1}
    assert params["units"] == 64 or n_weights(wider, shape) > max_weights
    if params["layers"] == 1:
        assert n_weights({"layers": 2, "units": 1}, shape) > max_weights


def test_a_limit_no_hidden_layer_obeys_leaves_a_single_unit():
    params = mlp_baseline(definition(batch_size=64), NetworkShape(64, 10, 20))
    assert (params["layers"], params["units"]) == (1, 1)
