"""The contract, of the fused engine."""

from __future__ import annotations

from tests.conformance.contract import Contract


class TestFused(Contract):
    name = "fused"
    every = 9
