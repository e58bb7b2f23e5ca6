"""Random search: independent draws, each a pure function of the study's seed and the point's index."""

from __future__ import annotations

from typing import Final

from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import compile_space
from hpsearch.sampling.independent import draw
from hpsearch.sampling.limit import Limit
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.samplers.base import BaseSampler


class RandomSampler(BaseSampler):
    """Draws each parameter from its distribution."""

    def suggest(self, request: SuggestRequest) -> list[Params]:
        """Return the points of these indices; nothing but seed, space and weight limit decides them."""
        limit = Limit(compile_space(request.space), request.shape)
        indices = range(request.first_index, request.first_index + request.n)
        return [draw(limit, request.algorithm.seed, index) for index in indices]


SAMPLER: Final = RandomSampler()
