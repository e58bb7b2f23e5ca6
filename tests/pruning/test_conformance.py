"""Every pruner of the registry keeps every promise of one, and the suite notices one that does not."""

# ruff: noqa: ARG002 - wrong pruners do not look at all they are told

from __future__ import annotations

import pytest

from hpsearch.pruning.base import PruneRequest
from hpsearch.testing.pruner_conformance import PrunerConformance


class TestAll(PrunerConformance):
    """Every pruner of the registry."""


class Eager(PrunerConformance):
    """Stops everything."""

    def decide(self, kind: str, request: PruneRequest) -> bool:
        return True


class Fickle(PrunerConformance):
    """Goes by the order in which trials are told."""

    def decide(self, kind: str, request: PruneRequest) -> bool:
        return bool(request.others) and request.curve[-1] > request.others[0][0]


class OneWay(PrunerConformance):
    """Takes every objective for a loss."""

    def decide(self, kind: str, request: PruneRequest) -> bool:
        return any(len(other) >= len(request.curve) > 0 and request.curve[-1] > other[0] for other in request.others)


@pytest.mark.parametrize(
    ("wrong", "promise"),
    [
        (Eager, "test_a_hopeless_trial_is_stopped_by_those_that_stop_trials"),
        (Eager, "test_the_best_trial_is_never_stopped"),
        (Eager, "test_a_trial_without_others_is_never_stopped"),
        (Fickle, "test_the_order_of_other_trials_does_not_matter"),
        (OneWay, "test_larger_is_better_mirrors_smaller_is_better"),
    ],
)
def test_a_broken_promise_is_red(wrong: type[PrunerConformance], promise: str):
    with pytest.raises(AssertionError):
        getattr(wrong(), promise)()
