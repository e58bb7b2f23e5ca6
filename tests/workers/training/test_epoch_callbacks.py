from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.fixture
def watched() -> Any:
    """The callback at an epoch's end, on a small compiled network without held-out rows."""
    from hpsearch.domain.mlp import MlpConfig
    from workers.training.engine.epoch_callbacks import EpochCallbacks
    from workers.training.keras_networks.network import build_loss, build_network, build_optimizer
    from workers.training.reference.callbacks import MeasureEpoch

    config = MlpConfig(units=(2,))
    network = build_network(config, n_inputs=2, n_outputs=1, seed=1)
    network.compile(build_optimizer(config, network), build_loss("regression"))
    reported: list[Any] = []
    callbacks = EpochCallbacks(
        report=reported.append,
        should_stop=lambda: False,
        epochs_before=4,
        fold=None,
        trial_seed=1,
        data_order_seed=0,
    )
    callback = MeasureEpoch(callbacks, None, None, None)
    callback.set_model(network)
    return callback, network, reported


def test_a_sound_epoch_is_reported_and_training_goes_on(watched: Any):
    callback, _, reported = watched
    callback.on_epoch_end(0, {"loss": 0.5})
    (measurement,) = reported
    assert measurement.epoch == 5
    assert measurement.metrics == {"train_loss": 0.5, "learning_rate": 0.001}


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_divergence(watched: Any, loss: float):
    from workers.training.engine.failures import DivergedError

    callback, _, reported = watched
    with pytest.raises(DivergedError, match="training loss was") as caught:
        callback.on_epoch_end(0, {"loss": loss})
    assert caught.value.epochs == 5
    assert reported[0].metrics["train_loss"] is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_divergence_whatever_the_loss(watched: Any, value: float):
    from workers.training.engine.failures import DivergedError

    callback, network, _ = watched
    kernel = network.get_layer("mlp_hidden_1").kernel
    kernel.assign(np.array([[1.0, value], [1.0, 1.0]]))
    with pytest.raises(DivergedError, match="a weight was not finite"):
        callback.on_epoch_end(0, {"loss": 0.5})
