"""The contract, of the fused engine."""

from __future__ import annotations

from tests.workers.training.conformance.contract import Contract


class TestFused(Contract):
    name = "fused"
    every = 9
