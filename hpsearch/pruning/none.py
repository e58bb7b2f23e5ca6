"""No pruning: every trial runs until it ends by itself."""

from __future__ import annotations

from typing import Final

from hpsearch.pruning.base import BasePruner, PruneRequest


class NoPruner(BasePruner):
    """Stops nothing."""

    def decide(self, request: PruneRequest) -> bool:  # noqa: ARG002 - whatever is asked
        """Return False."""
        return False


PRUNER: Final = NoPruner()
