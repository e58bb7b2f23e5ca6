"""One suite for all engines: each check trains trials through an engine's own `train` and says how far it is off.

The truth is plain Keras in float64; where chance decides (dropout), a test of equivalence that would
see a 20 % error.
`python -m workers.training.conformance ENGINE` runs it all; tests run the fast part.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        what: Was compared.
        worst: Largest difference observed.
        bound: Largest difference allowed.
    """

    what: str
    worst: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the contract is kept; a NaN keeps nothing."""
        return self.worst <= self.bound
