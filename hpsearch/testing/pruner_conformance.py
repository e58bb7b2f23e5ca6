"""What every pruner promises, as a test class: derive from it, name the pruner, and run it with pytest."""

# ruff: noqa: D102, S101 - these are tests: their names say what they check, and they assert

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Final

from hpsearch.domain.pruners import PRUNERS
from hpsearch.pruning.base import PruneRequest
from hpsearch.pruning.lookup import pruner_of

MAX_EPOCHS: Final = 27


def curve(end: float, n_epochs: int = MAX_EPOCHS) -> tuple[float, ...]:
    """Return a loss that falls from above 1 towards `end`."""
    return tuple(end + math.exp(-epoch / 5) for epoch in range(1, n_epochs + 1))


# Nine trials that have ended and three under way.
OTHERS: Final = (*(curve(i / 10) for i in range(1, 10)), *(curve(0.35 + i / 10, 5 * i) for i in range(1, 4)))
BEST: Final = curve(0.0)
MIDDLE: Final = curve(0.52)
HOPELESS: Final = curve(3.0)


def requests(own: tuple[float, ...], others: tuple[tuple[float, ...], ...] = OTHERS) -> Iterator[PruneRequest]:
    """Yield the question after each epoch of a trial."""
    for n in range(1, len(own) + 1):
        yield PruneRequest(own[:n], others, "minimize", MAX_EPOCHS)


class PrunerConformance:
    """The suite.

    Attributes:
        kinds: The pruners that are held to it, of `domain.pruners.PRUNERS`; all of them unless said otherwise.
    """

    kinds: ClassVar[tuple[str, ...]] = tuple(PRUNERS)

    def decide(self, kind: str, request: PruneRequest) -> bool:
        """Return the answer; override it for another way to the pruners."""
        return pruner_of(kind).decide(request)

    def test_a_hopeless_trial_is_stopped_by_those_that_stop_trials(self) -> None:
        for kind in self.kinds:
            answers = [self.decide(kind, request) for request in requests(HOPELESS)]
            assert any(answers) == PRUNERS[kind].stops_trials
            assert {type(answer) for answer in answers} == {bool}

    def test_the_best_trial_is_never_stopped(self) -> None:
        for kind in self.kinds:
            assert not any(self.decide(kind, request) for request in requests(BEST))

    def test_a_trial_without_others_is_never_stopped(self) -> None:
        for kind in self.kinds:
            assert not any(self.decide(kind, request) for request in requests(HOPELESS, ()))
            assert not self.decide(kind, PruneRequest((), OTHERS, "minimize", MAX_EPOCHS))

    def test_the_order_of_other_trials_does_not_matter(self) -> None:
        for kind in self.kinds:
            for own in (BEST, MIDDLE, HOPELESS):
                for request in requests(own):
                    turned = replace(request, others=request.others[::-1])
                    assert self.decide(kind, turned) == self.decide(kind, request)

    def test_larger_is_better_mirrors_smaller_is_better(self) -> None:
        for kind in self.kinds:
            for own in (BEST, MIDDLE, HOPELESS):
                for request in requests(own):
                    mirrored = PruneRequest(
                        tuple(-value for value in request.curve),
                        tuple(tuple(-value for value in other) for other in request.others),
                        "maximize",
                        request.max_epochs,
                    )
                    assert self.decide(kind, mirrored) == self.decide(kind, request)

    def test_values_that_are_no_numbers_are_understood(self) -> None:
        odd = (math.nan, math.inf, -math.inf, 0.5)
        for kind in self.kinds:
            for request in (*requests(odd), *requests(MIDDLE, (odd, (), (math.nan,) * MAX_EPOCHS))):
                assert isinstance(self.decide(kind, request), bool)
