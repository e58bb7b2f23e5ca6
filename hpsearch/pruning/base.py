"""What a pruner is asked, and the class all pruners derive from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from hpsearch.domain.metrics import Direction


@dataclass(frozen=True)
class PruneRequest:
    """The question whether to stop a trial now.

    Attributes:
        curve: The trial's objective after each epoch so far, the first for epoch 1; may be NaN or infinite.
        others: The curves of the study's other trials, ended or not, in any order.
        direction: Whether larger or smaller values are better.
        max_epochs: Epochs a trial may have, at least `len(curve)`.
    """

    curve: tuple[float, ...]
    others: tuple[tuple[float, ...], ...]
    direction: Direction
    max_epochs: int


class BasePruner(ABC):
    """Decides which trials are stopped early; keeps nothing between requests."""

    @abstractmethod
    def decide(self, request: PruneRequest) -> bool:
        """Return whether the trial should be stopped: a pure function of the request.

        A trial that is the best of all at every epoch so far is never stopped.
        """
