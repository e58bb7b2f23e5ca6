"""The network in numpy says what Keras says of the same weights."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from hpsearch.data.prepare import Preparation
from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.mlp import Activation, MlpConfig
from hpsearch.embedded.network import TrainedNetwork


@pytest.mark.parametrize("activation", get_args(Activation))
@pytest.mark.parametrize("batch_norm", [False, True])
def test_outputs_are_those_of_keras(activation: Any, batch_norm: bool):
    from workers.training.keras_networks.network import build_network

    config = MlpConfig(units=(5, 3), activation=activation, batch_norm=batch_norm, dropout=0.3)
    network = build_network(config, n_inputs=4, n_outputs=2, seed=1, dtype="float64")
    random = np.random.default_rng(0)
    weights = [np.abs(random.normal(size=one.shape)) * random.choice([0.5, 2.0]) for one in network.get_weights()]
    weights[0] -= 1.0
    network.set_weights(weights)
    rows = random.normal(size=(50, 4)) * 3
    profile = DatasetProfile(n_rows=50, columns=(), target="y", task="regression")
    ours = TrainedNetwork(config, tuple(weights), Preparation((), 0.0, 1.0, 4, 2, "regression"), profile)
    # TensorFlow's gelu holds the square root of 2 with seven digits.
    tolerance = 1e-7 if activation == "gelu" else 1e-10
    assert np.allclose(ours.outputs(rows), network(rows, training=False), rtol=tolerance, atol=tolerance)
