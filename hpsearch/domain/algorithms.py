"""The registry of search algorithms: one entry each, with all that anybody but the algorithm itself knows of it.

How an algorithm chooses points stands in `hpsearch.sampling.samplers`, in the module named like it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal


@dataclass(frozen=True)
class AlgorithmTraits:
    """What a search algorithm is like.

    Attributes:
        tries: What its trials are, after "Tries".
        tries_first: The same while there are too few results to learn from; None where that makes no difference.
        learns: It chooses points by the results so far: few trials are open at once, and created one by one.
        is_finite: It tries every point of a finite space once: each parameter must have values or steps.
    """

    tries: str
    tries_first: str | None = None
    learns: bool = False
    is_finite: bool = False


ALGORITHMS: Final[dict[str, AlgorithmTraits]] = {
    "grid": AlgorithmTraits("every combination of the grid in a shuffled order", is_finite=True),
    "random": AlgorithmTraits("points drawn at random"),
    "bayesian": AlgorithmTraits(
        "points that a model of all results so far suggests",
        tries_first="points spread over the whole space first, for a model to learn from",
        learns=True,
    ),
}

if TYPE_CHECKING:
    AlgorithmKind = str
else:
    AlgorithmKind = Literal[tuple(ALGORITHMS)]
