"""The one question all samplers answer: which configurations next?"""

from __future__ import annotations

from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import compile_space
from hpsearch.sampling.limit import smallest_network
from hpsearch.sampling.request import NetworkShape, Observation, SuggestRequest
from hpsearch.sampling.samplers.lookup import sampler_of
from hpsearch.sampling.weights import n_weights

__all__ = ["NetworkShape", "Observation", "SuggestRequest", "n_weights", "smallest_network", "suggest"]


def suggest(request: SuggestRequest) -> list[Params]:
    """Return exactly `request.n` points of the space, each within the weight limit.

    The same request always gets the same answer. Of a finite space fewer are returned where all others were.

    Raises:
        InvalidStudyError: No point of the space obeys the weight limit.
        ValueError: The request is for fewer than one point.
    """
    if request.n < 1 or request.first_index < 0:
        msg = f"ask for at least 1 point from index 0 on, received n {request.n} and first_index {request.first_index}"
        raise ValueError(msg)
    space = compile_space(request.space)
    return [space.readable(params) for params in sampler_of(request.algorithm.kind).suggest(request)]
