"""What a search algorithm has to answer: the class all samplers derive from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hpsearch.domain.trial import Params
from hpsearch.sampling.grid import Grid
from hpsearch.sampling.request import SuggestRequest


class BaseSampler(ABC):
    """Chooses the next points of a study; keeps nothing between requests."""

    @abstractmethod
    def suggest(self, request: SuggestRequest) -> list[Params]:
        """Return exactly `request.n` points of the space, each within the weight limit.

        A pure function of the request. An algorithm that learns repeats no point while the space holds another.

        Raises:
            InvalidStudyError: No point of the space obeys the weight limit.
        """

    def explores(self, request: SuggestRequest) -> bool:  # noqa: ARG002 - for those that learn
        """Return whether an algorithm that learns answers this request without its model.

        Such an answer is found at once, in the thread that asks; the others in the sampling process.
        """
        return False


class FiniteSampler(BaseSampler):
    """Tries every point of a finite space once: the points are those of `Grid`, their order is the sampler's."""

    @abstractmethod
    def order(self, grid: Grid, seed: int) -> Sequence[int]:
        """Return the numbers of all points, 0 to `grid.size - 1`, in the order in which they are tried.

        Args:
            grid: The points within the weight limit.
            seed: Of the study's algorithm.
        """

    def suggest(self, request: SuggestRequest) -> list[Params]:
        """Return the points at `request.first_index` and after; fewer than `request.n` where the grid ends.

        Raises:
            InvalidStudyError: The space is not finite or too large, or no point obeys the weight limit.
        """
        grid = Grid(request.space, request.shape)
        order = self.order(grid, request.algorithm.seed)
        return [grid.point(i) for i in order[request.first_index : request.first_index + request.n]]
