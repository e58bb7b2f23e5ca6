"""Deduplication: no configuration is tried twice while the space still holds another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final

from hpsearch.domain.parameters import Key, key
from hpsearch.domain.space import Space
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidStudyError
from hpsearch.sampling.compiled_space import Slot
from hpsearch.sampling.draw import ordinal, point_at, position_of
from hpsearch.sampling.grid import Grid
from hpsearch.sampling.independent import draw
from hpsearch.sampling.limit import Limit
from hpsearch.sampling.uniform import Stream, raw_words, uniforms
from hpsearch.sampling.weights import obeys

# Values up and down that count as neighbours, and choices of an unordered parameter.
_REACH: Final = 3
_MAX_CHOICES: Final = 24
_MAX_COMPARED: Final = 256
_MAX_DRAWS: Final = 32
_NOTHING: Final[Mapping[str, Scalar]] = MappingProxyType({})


class Novelty:
    """Remembers which points were tried and replaces a repeated one by a near one that was not.

    Args:
        space: The search space.
        limit: Of the same space.
        tried: Points of the space already tried.
    """

    def __init__(self, space: Space, limit: Limit, tried: Iterable[Params]) -> None:
        self._space = space
        self._limit = limit
        self._searched = limit.space.searched
        self._tried = {self._identity(params): params for params in tried}

    def add(self, params: Params) -> None:
        """Count the point as tried."""
        self._tried[self._identity(params)] = params

    def fresh(self, params: Params, seed: int, index: int, beyond: Mapping[str, Scalar] = _NOTHING) -> Params:
        """Return the point, or the nearest untried one if it was tried; itself only when all points were.

        First come the points that differ in one parameter, then all of the space if it is finite (up to the cap of a
        grid), else random draws.

        Args:
            params: A point of the space within the weight limit.
            seed: Of the study's algorithm; with `index` it breaks ties.
            index: `search_index` of the point.
            beyond: Values to take for parameters that are not active at this point but at the one taken instead;
                random ones where none are given.
        """
        if self._identity(params) not in self._tried:
            return params
        ways = (self._neighbours({**beyond, **params}, params, seed, index), self._elsewhere(params, seed, index))
        return next((found for way in ways for found in way), params)

    def _identity(self, params: Mapping[str, Scalar]) -> tuple[Key | None, ...]:
        return tuple(key(params[slot.name]) if slot.name in params else None for slot in self._searched)

    def _new(self, params: Params) -> bool:
        return self._identity(params) not in self._tried and obeys(params, self._limit.shape)

    def _neighbours(self, values: Params, params: Params, seed: int, index: int) -> Iterator[Params]:
        """Yield untried points that differ in one listed parameter (and in what depends on it), nearest first."""
        random = uniforms(len(self._searched), seed, index, 0, Stream.NOVEL)
        shares = {
            slot.name: position_of(slot, values[slot.name]) if slot.name in values else u
            for slot, u in zip(self._searched, random, strict=True)
        }
        moves = [(slot, u) for slot in self._searched if slot.name in params for u in _beside(slot, params[slot.name])]
        ties = uniforms(len(moves), seed, index, 1, Stream.NOVEL)
        gaps = [_gap(slot, u, shares[slot.name]) for slot, u in moves]
        for at in sorted(range(len(moves)), key=lambda i: (round(gaps[i], 9), ties[i])):
            name, u = moves[at][0].name, moves[at][1]
            moved = point_at(self._limit.space, {**shares, name: u})
            if self._new(moved):
                yield moved

    def _elsewhere(self, params: Params, seed: int, index: int) -> Iterator[Params]:
        if self._grid is None:
            first = index * _MAX_DRAWS
            indices = range(first, first + _MAX_DRAWS)
            yield from filter(self._new, (draw(self._limit, seed, i, stream=Stream.ELSEWHERE) for i in indices))
            return
        places = {self._grid.index_of(tried) for tried in self._tried.values()}
        untried = [place for place in range(self._grid.size) if place not in places]
        words = raw_words(_MAX_COMPARED, seed, index, Stream.ELSEWHERE).tolist() if untried else []
        some = untried if len(untried) <= _MAX_COMPARED else [untried[word % len(untried)] for word in words]
        yield from sorted(map(self._grid.point, some), key=lambda point: self._apart(point, params))

    def _apart(self, left: Params, right: Params) -> float:
        total = 0.0
        for slot in self._searched:
            if (slot.name in left) != (slot.name in right):
                total += 1.0
            elif slot.name in left:
                total += _gap(slot, position_of(slot, left[slot.name]), position_of(slot, right[slot.name]))
        return total

    @cached_property
    def _grid(self) -> Grid | None:
        """All points, where they can be counted."""
        try:
            return Grid(self._space, self._limit.shape)
        except InvalidStudyError:
            return None


def _gap(slot: Slot, left: float, right: float) -> float:
    if ordinal(slot):
        return abs(left - right)
    return float(abs(left - right) * len(slot.ladder or (0, 0)) > 0.5)  # noqa: PLR2004 - half a choice apart


def _beside(slot: Slot, value: Scalar) -> list[float]:
    """Return the shares of the values beside this one; none for a continuous parameter."""
    rungs = slot.ladder or slot.values
    if rungs is None:
        return []
    here = next(i for i, rung in enumerate(rungs) if key(rung) == key(value))
    if ordinal(slot):
        near = [i for i in range(here - _REACH, here + _REACH + 1) if i != here and 0 <= i < len(rungs)]
    else:
        near = [i for i in range(len(rungs)) if i != here][:_MAX_CHOICES]
    return [position_of(slot, rungs[i]) for i in near]
