"""Independent random points by rejection sampling, each a pure function of the seed and the point's index."""

from __future__ import annotations

from typing import Final

from hpsearch.domain.trial import Params
from hpsearch.sampling.draw import point_at
from hpsearch.sampling.limit import Limit
from hpsearch.sampling.uniform import Stream, uniforms

# Draws before the limit is met by construction instead: where 2 % of the space obeys it, 98 % of points are exact.
_MAX_DRAWS: Final = 200


def draw(limit: Limit, seed: int, index: int, *, stream: Stream = Stream.RANDOM) -> Params:
    """Return the random point with this index, obeying the weight limit.

    The point is drawn anew, from the sub-stream (seed, index, try), until it obeys: so points follow the space's own
    distribution given the limit. Where that fails 200 times the last draw is restricted instead (`Limit.restrict`).

    Args:
        limit: Of the space.
        seed: Of the study's algorithm.
        index: `search_index` of the point, at least 0.
        stream: Keeps draws for other purposes apart.

    Raises:
        InvalidStudyError: No point of the space obeys the limit.
    """
    names = [slot.name for slot in limit.space.searched]
    shares: dict[str, float] = {}
    for attempt in range(_MAX_DRAWS):
        shares = dict(zip(names, uniforms(len(names), seed, index, attempt, stream), strict=True))
        if limit.obeyed_at(shares):
            return point_at(limit.space, shares)
    return limit.restrict(shares, uniforms(1, seed, index, Stream.PICK)[0])
