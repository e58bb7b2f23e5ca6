"""The one question all samplers answer: which configurations next?"""

from __future__ import annotations

from hpsearch.domain.trial import Params
from hpsearch.sampling.bayesian import suggest_bayesian
from hpsearch.sampling.independent import draw
from hpsearch.sampling.limit import Limit, smallest_network
from hpsearch.sampling.plan import plan
from hpsearch.sampling.request import Observation, Shape, SuggestRequest
from hpsearch.sampling.weights import n_weights

__all__ = ["Observation", "Shape", "SuggestRequest", "n_weights", "smallest_network", "suggest"]


def suggest(request: SuggestRequest) -> list[Params]:
    """Return exactly `request.n` points of the space, each within the weight limit.

    Random points depend on the seed and their index alone, Bayesian ones on the whole request; nothing else counts, so
    the same request always gets the same answer.

    Args:
        request: Of kind `random` or `bayesian`; the points of a grid are numbered by `Grid`.

    Raises:
        InvalidStudyError: No point of the space obeys the weight limit.
        ValueError: The request is for a grid, or for fewer than one point.
    """
    if request.n < 1 or request.first_index < 0:
        msg = f"ask for at least 1 point from index 0 on, received n {request.n} and first_index {request.first_index}"
        raise ValueError(msg)
    prepared = plan(request.space)
    if request.algorithm.kind == "bayesian":
        return [prepared.readable(params) for params in suggest_bayesian(request)]
    if request.algorithm.kind == "random":
        limit = Limit(prepared, request.shape)
        indices = range(request.first_index, request.first_index + request.n)
        return [prepared.readable(draw(limit, request.algorithm.seed, index)) for index in indices]
    msg = f"suggest answers for random and bayesian, received {request.algorithm.kind}; a grid's points come from Grid"
    raise ValueError(msg)
