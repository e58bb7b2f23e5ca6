"""Grid search: every combination once, in a seeded permutation, so that a study stopped early has covered the space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hpsearch.sampling.grid import Grid
from hpsearch.sampling.samplers.base import FiniteSampler


class GridSampler(FiniteSampler):
    """Visits the points of the grid in a shuffled order."""

    def order(self, grid: Grid, seed: int) -> Sequence[int]:
        """Return all numbers, shuffled by the seed."""
        return grid.order(seed)


SAMPLER: Final = GridSampler()
