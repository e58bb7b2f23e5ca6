"""The registry of pruners: one entry each.

How a pruner decides stands in `hpsearch.pruning`, in the module named like it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal


@dataclass(frozen=True)
class PrunerTraits:
    """What a pruner is like.

    Attributes:
        stops_trials: It may end a trial early, which is then PRUNED.
    """

    stops_trials: bool


PRUNERS: Final[dict[str, PrunerTraits]] = {
    "none": PrunerTraits(stops_trials=False),
}

if TYPE_CHECKING:
    PrunerKind = str
else:
    PrunerKind = Literal[tuple(PRUNERS)]
