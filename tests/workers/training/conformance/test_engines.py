"""The contract, of the engines that are not plain Keras; one module, so that Keras trains what they share once."""

from __future__ import annotations

from tests.workers.training.conformance.contract import Contract, assert_holds
from workers.training.conformance import points
from workers.training.conformance.arena import Arena
from workers.training.conformance.engines import make_engine


class TestNative(Contract):
    name = "native"
    every = 3

    def test_device_time_is_paid_once(self, arena: Arena) -> None:
        # Of the fused engine: `tests/workers/training/fused/test_device_time.py`.
        assert_holds(points.device_time(arena, make_engine(self.name)))


class TestFused(Contract):
    name = "fused"
    every = 9
