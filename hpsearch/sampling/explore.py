"""The space-filling start of a Bayesian search: the default network, then a Latin hypercube.

Scrambled Sobol points would do as well, but importing them (scipy.stats) takes 1.3 s and 75 MB, and for 10 to 50 points
in about ten dimensions a Latin hypercube is as even: every parameter's range is cut into as many strata as there are
points, and each stratum holds one point.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from hpsearch.domain.layer_widths import is_width
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.parameters import key
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import Slot
from hpsearch.sampling.draw import point_at, position_of
from hpsearch.sampling.independent import draw
from hpsearch.sampling.limit import Limit
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.uniform import Stream, raw_words, uniforms
from hpsearch.sampling.weights import obeys

MIN_STARTUP: Final = 10
MAX_STARTUP: Final = 50
_STARTUP_FRACTION: Final = 0.15
_DEFAULT: Final = MlpConfig()


def n_startup(request: SuggestRequest) -> int:
    """Return how many points are spread evenly before the model is trusted.

    `algorithm.options.n_startup` if given, else 15 % of the budget, from 10 to 50, and never more than half of it.
    """
    given = request.algorithm.options.n_startup
    if given is not None:
        return given
    wanted = min(max(MIN_STARTUP, math.ceil(_STARTUP_FRACTION * request.max_trials)), MAX_STARTUP)
    return max(1, min(wanted, request.max_trials // 2))


def first_point(limit: Limit, seed: int, index: int, n_points: int) -> Params:
    """Return an early point of a study: the default network at index 0, then a Latin hypercube of the rest.

    A stratum whose point breaks the weight limit gives way to a random point that obeys it.

    Args:
        limit: Of the space.
        seed: Of the study's algorithm.
        index: `search_index`; beyond `n_points` further hypercubes follow.
        n_points: Points of the first hypercube, the default network included, at least 1.

    Raises:
        InvalidStudyError: No point of the space obeys the limit.
    """
    if index == 0:
        return default_point(limit)
    params = point_at(limit.space, _strata(limit, seed, index - 1, max(1, n_points - 1)))
    return params if obeys(params, limit.shape) else draw(limit, seed, index)


def _strata(limit: Limit, seed: int, index: int, n_points: int) -> dict[str, float]:
    block, at = divmod(index, n_points)
    names = [slot.name for slot in limit.space.searched]
    within = uniforms(len(names), seed, index, Stream.WITHIN)
    shares = {}
    for column, name in enumerate(names):
        order = np.argsort(raw_words(n_points, seed, block, column, Stream.STRATA), kind="stable")
        shares[name] = (int(order[at]) + within[column]) / n_points
    return shares


def default_point(limit: Limit) -> Params:
    """Return the point of the space nearest to the default network, within the weight limit.

    Raises:
        InvalidStudyError: No point of the space obeys the limit.
    """
    shares = {slot.name: _nearest_share(slot) for slot in limit.space.searched}
    return limit.repair(point_at(limit.space, shares))


def _nearest_share(slot: Slot) -> float:
    wanted = _default_value(slot.name)
    rungs = slot.ladder
    if isinstance(wanted, bool | str) or wanted is None:
        known = [rung for rung in rungs or () if wanted is not None and key(rung) == key(wanted)]
        return position_of(slot, known[0]) if known else 0.5 / len(rungs or (0,))
    if rungs is not None:
        return position_of(slot, wanted) if any(not isinstance(r, bool | str) for r in rungs) else 0.5 / len(rungs)
    low, high = slot.parameter.low, slot.parameter.high  # type: ignore[union-attr]
    inside = min(max(wanted, low), high)
    return min(max(position_of(slot, inside), 0.0), 1.0)


def _default_value(name: str) -> Scalar | None:
    """Return the default of a parameter; None where the study's own setting is the default."""
    if name == "layers":
        return len(_DEFAULT.units)
    if is_width(name):
        return _DEFAULT.units[0]
    value: Scalar | None = getattr(_DEFAULT, name)
    return value
