"""Faults planted into the native engine: each must turn the suite red, or the suite proves nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from workers.training.conformance import Finding, points
from workers.training.conformance.arena import Arena
from workers.training.conformance.dropout import dropout
from workers.training.conformance.engines import make_engine
from workers.training.conformance.model_files import model_files
from workers.training.engine.epoch_callbacks import EpochCallbacks
from workers.training.engine.initial import initial_kernels
from workers.training.engine.optimizer_coefficients import rule_of
from workers.training.engine.patience import Stopping
from workers.training.engine.seeds import threshold_of
from workers.training.native.engine import _timed
from workers.training.native.network import NativeNetwork

Patch = Callable[[pytest.MonkeyPatch], None]


def _curves(arena: Arena) -> list[Finding]:
    engine, truth = make_engine("native", "float64"), make_engine("reference", "float64")
    # Cases of adam with L2, of rmsprop with L2 and of early stopping among them.
    return points.curves(arena, engine, truth, "iris", every=5)


def _rule(**changed: float) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "workers.training.native.network.rule_of",
            lambda config, rate: dataclasses.replace(rule_of(config, rate), **changed),
        )

    return patch


def _no_best_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last weights are exported, not the best."""
    outputs = NativeNetwork.outputs
    monkeypatch.setattr(NativeNetwork, "outputs", lambda net, inputs, *args, **_: outputs(net, inputs, *args))
    monkeypatch.setattr(
        NativeNetwork, "keras_weights", lambda net: net.layout.keras_weights(net._weights, net._averages)
    )


def _late_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Early stopping waits one epoch too long."""

    class Patient(Stopping):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self._patience += 1

    monkeypatch.setattr("workers.training.native.fit.Stopping", Patient)


def _shared_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial's initial weights depend on what was trained before it."""
    random = np.random.default_rng(0)

    def moving(*args: Any, **more: Any) -> Any:
        return [kernel + 1e-6 * random.standard_normal() for kernel in initial_kernels(*args, **more)]

    monkeypatch.setattr("workers.training.native.network.initial_kernels", moving)


def _first_step_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step counter of the bias correction begins anew each epoch."""
    train = NativeNetwork.train

    def forgetful(network: NativeNetwork, *args: Any) -> float:
        network._n_steps = 0
        return train(network, *args)

    monkeypatch.setattr(NativeNetwork, "train", forgetful)


def _wrong_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth too many units are dropped."""
    monkeypatch.setattr("workers.training.native.network.threshold_of", lambda rate: threshold_of(rate * 1.2))


def _deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dropped trial goes on for a while."""
    check_stop = EpochCallbacks.check_stop

    def slow(callbacks: Any) -> None:
        if len(callbacks.history) > 5:
            check_stop(callbacks)

    monkeypatch.setattr(EpochCallbacks, "check_stop", slow)


def _free_rides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials pay for twice the time they took."""

    def double(*args: Any) -> Any:
        outcome = _timed(*args)
        return outcome.model_copy(update={"device_seconds": 2 * outcome.device_seconds})

    monkeypatch.setattr("workers.training.native.engine._timed", double)


FAULTS: dict[str, tuple[Patch, Callable[[Arena], list[Finding]]]] = {
    "another decay of the second moment": (_rule(square_pull=0.01), _curves),
    "no L2": (_rule(l2=0.0), _curves),
    "early stopping an epoch late": (_late_stop, _curves),
    "the step counter begins anew each epoch": (_first_step_again, _curves),
    "the last weights instead of the best": (
        _no_best_weights, lambda arena: model_files(arena, make_engine("native"), ["iris"]),
    ),
    "trials that depend on those before": (
        _shared_generator, lambda arena: points.isolation(arena, make_engine("native")),
    ),
    "a dropout rate 20 % too high": (
        _wrong_dropout, lambda arena: dropout(arena, make_engine("native"), make_engine("reference"), 16),
    ),
    "a dropped trial that goes on": (_deaf, lambda arena: points.cancellation(arena, make_engine("native"))),
    "time paid twice": (_free_rides, lambda arena: points.device_time(arena, make_engine("native"))),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_turns_the_suite_red(arena: Arena, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patch, check = FAULTS[fault]
    patch(monkeypatch)
    assert not all(finding.holds for finding in check(arena)), fault
