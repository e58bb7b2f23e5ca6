"""The points of a finite study, and the order in which they are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.domain.space import Space
from hpsearch.domain.study import Algorithm
from hpsearch.domain.trial import Params
from hpsearch.sampling.grid import Grid
from hpsearch.sampling.request import NetworkShape
from hpsearch.sampling.samplers.lookup import finite_sampler_of


@dataclass(frozen=True)
class GridWalk:
    """A grid and a permutation of its points' numbers.

    Attributes:
        grid: The points within the weight limit.
        order: Their numbers, the first to be tried first.
    """

    grid: Grid
    order: Sequence[int]

    def points(self, first: int, n: int) -> list[Params]:
        """Return the points tried from the place `first` of the order on, n of them or as many as there are."""
        return [self.grid.point(index) for index in self.order[first : first + n]]


def grid_walk(space: Space, algorithm: Algorithm, shape: NetworkShape) -> GridWalk:
    """Return the walk of an algorithm that is finite.

    Raises:
        InvalidStudyError: A parameter is continuous, there are too many combinations, or none obeys the weight limit.
    """
    grid = Grid(space, shape)
    return GridWalk(grid, finite_sampler_of(algorithm.kind).order(grid, algorithm.seed))
