"""The exactness contract, point by point: each check says how far fused training is from plain Keras or itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        point: Of the contract, 1 to 6; 0 for a promise beside it.
        what: Was compared.
        worst: Largest difference observed.
        bound: Largest difference allowed.
    """

    point: int
    what: str
    worst: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the contract is kept; a NaN keeps nothing."""
        return self.worst <= self.bound
