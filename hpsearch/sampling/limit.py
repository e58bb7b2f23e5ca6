"""Repair: points that keep to the weight limit, also where almost none of the space does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final

from hpsearch.domain.layer_widths import is_width
from hpsearch.domain.parameters import Key, key
from hpsearch.domain.space import Space
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidStudyError
from hpsearch.sampling.compiled_space import CompiledSpace, Slot, compile_space
from hpsearch.sampling.draw import ordinal, point_at, position_of, shares_of, structure_at
from hpsearch.sampling.radix import Radix, TooManyStatesError
from hpsearch.sampling.request import NetworkShape
from hpsearch.sampling.uniform import Stream, raw_words, uniforms
from hpsearch.sampling.weights import n_weights, obeys

Shares = Mapping[str, float]

_MAX_FRAMES: Final = 1_000
# Halvings of the range in which the largest allowed share is sought: 2^-20 is far below one unit of any width.
_HALVINGS: Final = 20


def smallest_network(space: Space, shape: NetworkShape) -> int:
    """Return the smallest number of weights any point of the space has."""
    limit = Limit(compile_space(space), shape)
    narrowest = (limit.narrowest(limit.middle, frame) for frame in limit.frames())
    return min(n_weights(point_at(limit.space, shares), shape) for shares in narrowest)


class Limit:
    """Keeps points within the weight limit.

    A *frame* is one setting of everything that shapes the network but the widths: depth, batch normalisation and what
    their conditions name. Within a frame more width means more weights, so that its narrowest network tells whether
    the frame can be used at all, and the widest allowed value of one width is found by bisection.

    Args:
        space: The space.
        shape: Widths of input and output, and the limit.
    """

    def __init__(self, space: CompiledSpace, shape: NetworkShape) -> None:
        self.space = space
        self.shape = shape
        self.middle: dict[str, float] = {slot.name: 0.5 for slot in space.searched}
        self._widths = [slot.name for slot in space.searched if is_width(slot.name)]

    def obeyed_at(self, shares: Shares) -> bool:
        """Return whether the point at these shares keeps to the limit."""
        return obeys(structure_at(self.space, shares), self.shape)

    def restrict(self, shares: Shares, pick: float) -> Params:
        """Return a point near these shares that keeps to the limit, spread over what is allowed.

        A frame that can not be used is replaced by a random one that can; then each width in turn, in an order that
        differs from point to point, is squeezed into the range the others leave it.

        Args:
            shares: Of the point that broke the limit.
            pick: 0 to 1; chooses among the usable frames.

        Raises:
            InvalidStudyError: No point of the space keeps to the limit.
        """
        found = self._narrow(shares)
        if not self.obeyed_at(found):
            frames = self.usable_frames
            found = self.narrowest(shares, frames[min(int(pick * len(frames)), len(frames) - 1)])
        # The low digits of a share are as good as a further random number.
        for name in sorted(self._widths, key=lambda n: (shares[n] * 1e6) % 1):
            found = self._widest(found, {name: shares[name]})
        return point_at(self.space, found)

    def repair(self, params: Params) -> Params:
        """Return the point itself if it keeps to the limit, else one as near as the limit lets it be.

        All widths shrink together, which keeps the network's profile; only when the narrowest is still too large, the
        nearest usable depth, normalisation and so on are taken instead.

        Raises:
            InvalidStudyError: No point of the space keeps to the limit.
        """
        if obeys(params, self.shape):
            return params
        shares = shares_of(self.space, params)
        found = self._narrow(shares)
        if not self.obeyed_at(found):
            nearest = min(self.usable_frames, key=lambda frame: self._distance(shares, frame))
            found = self.narrowest(shares, nearest)
        return point_at(self.space, self._widest(found, {name: shares[name] for name in self._widths}))

    def _narrow(self, shares: Shares) -> dict[str, float]:
        return {**shares, **dict.fromkeys(self._widths, 0.0)}

    def narrowest(self, shares: Shares, frame: Params) -> dict[str, float]:
        """Return the shares of the narrowest network of a frame; what is not in the frame keeps its share."""
        fixed = {slot.name: position_of(slot, frame[slot.name]) for slot in self.space.searched if slot.name in frame}
        return {**self._narrow(shares), **fixed}

    def _widest(self, narrow: dict[str, float], wanted: Mapping[str, float]) -> dict[str, float]:
        """Move some widths as far from `narrow` towards the wanted shares as the limit allows."""

        def moved(part: float) -> dict[str, float]:
            return {**narrow, **{n: narrow[n] + part * max(0.0, u - narrow[n]) for n, u in wanted.items()}}

        low, high = 0.0, 1.0
        if self.obeyed_at(moved(high)):
            return moved(high)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.obeyed_at(moved(middle)) else (low, middle)
        found = moved(low)
        return found if self.obeyed_at(found) else narrow

    def _distance(self, shares: Shares, frame: Params) -> float:
        total = 0.0
        for slot in self.space.searched:
            if slot.name in frame and not is_width(slot.name):
                gap = abs(position_of(slot, frame[slot.name]) - shares[slot.name])
                total += gap if ordinal(slot) else float(gap > 1 / len(slot.ladder or (0,)) / 2)
        return total

    @cached_property
    def usable_frames(self) -> list[Params]:
        """The frames whose narrowest network keeps to the limit.

        Raises:
            InvalidStudyError: There is none.
        """
        usable = []
        smallest: int | None = None
        for frame in self.frames():
            params = point_at(self.space, self.narrowest(self.middle, frame))
            weights = n_weights(params, self.shape)
            smallest = weights if smallest is None else min(smallest, weights)
            if obeys(params, self.shape):
                usable.append(frame)
        if not usable:
            msg = (
                f"no network of the space has at most {self.shape.max_weights:,} weights, "
                f"the smallest has {smallest:,}; raise constraints.max_weights or allow fewer or narrower layers"
            )
            raise InvalidStudyError(msg, code="study.infeasible", details={"smallest": smallest})
        return usable

    def frames(self) -> Iterator[Params]:
        """Yield every frame: one value for each class of values that switch the same conditions on, all depths.

        Of more than 1,000 frames that many random ones are taken; so many need hundreds of crossed conditions.
        """
        slots = [replace(slot, values=self._representatives(slot)) for slot in self.space.structural]
        try:
            radix = Radix(slots, cap=_MAX_FRAMES)
        except TooManyStatesError:
            yield from map(self._random_frame, range(_MAX_FRAMES))
            return
        if radix.size <= _MAX_FRAMES:
            yield from map(radix.point, range(radix.size))
        else:
            yield from (radix.point(word % radix.size) for word in raw_words(_MAX_FRAMES, Stream.FRAMES).tolist())

    def _random_frame(self, number: int) -> Params:
        shares = dict(zip(self.middle, uniforms(len(self.middle), number, Stream.FRAMES), strict=True))
        params = point_at(self.space, self._narrow(shares))
        return {slot.name: params[slot.name] for slot in self.space.structural if slot.name in params}

    def _representatives(self, slot: Slot) -> tuple[Scalar, ...]:
        rungs = slot.ladder or slot.values or (slot.parameter.low,)  # type: ignore[union-attr]
        if slot.name in ("layers", "batch_norm"):
            return rungs
        conditions = [child.when[slot.name] for child in self.space.structural if slot.name in child.when]
        first: dict[tuple[bool, ...], Scalar] = {}
        for value in rungs:
            wanted: Key = key(value)
            first.setdefault(tuple(wanted in condition for condition in conditions), value)
        return tuple(first.values())
