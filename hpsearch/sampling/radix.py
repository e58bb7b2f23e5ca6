"""Counting and numbering the points of a finite space with conditions, without listing them.

A point is a mixed-radix number whose later digits may be missing: parameters are digits, first parameter slowest, and
a digit exists only while its condition holds. Two values of a parent that switch the same children on are one
*class*; the classes of the parents still needed further down are the *state*, and the number of completions of a point
depends on the state alone. So a table by place and state counts the points and turns an index into a point and back.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

from hpsearch.domain.parameters import Key, key
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import Slot

State = tuple[int, ...]
_INACTIVE = -1


class TooManyStatesError(Exception):
    """The space has more than the allowed number of points; how many exactly is too much work to say."""


class _Digit:
    """One parameter's values, their classes, and where its parents stand in the state."""

    def __init__(
        self,
        slot: Slot,
        classes: Mapping[str, _Classes],
        frontier: Sequence[str],
        following: Sequence[str],
    ) -> None:
        self.name = slot.name
        self.values = slot.values or ()
        self.class_of = classes[slot.name].of_values
        sizes = Counter(self.class_of)
        self.class_sizes = [sizes[c] for c in range(len(sizes))]
        self._conditions = [(frontier.index(name), classes[name].that_switch_on(slot.name)) for name in slot.when]
        self._kept = [frontier.index(name) if name in frontier else None for name in following]

    def active(self, state: State) -> bool:
        return all(state[at] in wanted for at, wanted in self._conditions)

    def after(self, state: State, chosen: int) -> State:
        """The state once this digit's class is chosen (-1: inactive)."""
        return tuple(chosen if at is None else state[at] for at in self._kept)

    @cached_property
    def _place_of(self) -> dict[Key, int]:
        return {key(value): i for i, value in enumerate(self.values)}

    def find(self, value: Scalar) -> int | None:
        exact = self._place_of.get(key(value))
        if exact is not None or not isinstance(value, float):
            return exact
        near = (i for i, v in enumerate(self.values) if isinstance(v, float) and math.isclose(v, value, rel_tol=1e-9))
        return next(near, None)


class _Classes:
    """The classes of a parameter's values: values that switch the same children on share one.

    Attributes:
        of_values: The class of each value, in their order.
    """

    def __init__(self, parent: Slot, slots: Sequence[Slot]) -> None:
        children: dict[Key, list[str]] = {}
        for slot in slots:
            for wanted in slot.when.get(parent.name, ()):
                children.setdefault(wanted, []).append(slot.name)
        self._numbers: dict[tuple[str, ...], int] = {}
        switched_on = (tuple(children.get(key(value), ())) for value in parent.values or ())
        self.of_values = [self._numbers.setdefault(names, len(self._numbers)) for names in switched_on]

    def that_switch_on(self, child: str) -> frozenset[int]:
        """Return the classes under which a child is active."""
        return frozenset(number for names, number in self._numbers.items() if child in names)


class Radix:
    """The points of a finite space, numbered from 0 in the order of its parameters.

    Args:
        slots: Parameters, each with listed values and after its parents.
        cap: States per place above which counting is given up; as every state belongs to at least one point, the
            space then has more than `cap` points.

    Raises:
        TooManyStatesError: More than `cap` states.
    """

    def __init__(self, slots: Sequence[Slot], *, cap: int) -> None:
        frontiers = [
            [s.name for s in slots[:place] if any(s.name in later.when for later in slots[place:])]
            for place in range(len(slots) + 1)
        ]
        self.frontiers = frontiers
        classes = {slot.name: _Classes(slot, slots) for slot in slots}
        self.digits = [_Digit(slot, classes, frontiers[i], frontiers[i + 1]) for i, slot in enumerate(slots)]
        self.counts = self._count(self._reach(cap))
        self.size = self.counts[0][()]

    def _reach(self, cap: int) -> list[set[State]]:
        reached: list[set[State]] = [{()}]
        for digit in self.digits:
            following: set[State] = set()
            for state in reached[-1]:
                classes = range(len(digit.class_sizes)) if digit.active(state) else (_INACTIVE,)
                following.update(digit.after(state, c) for c in classes)
                if len(following) > cap:
                    raise TooManyStatesError
            reached.append(following)
        return reached

    def _count(self, reached: Sequence[set[State]]) -> list[dict[State, int]]:
        counts: list[dict[State, int]] = [{(): 1}]
        for digit, states in zip(reversed(self.digits), reversed(reached[:-1]), strict=True):
            after = counts[-1]
            here = {}
            for state in states:
                sizes = list(enumerate(digit.class_sizes)) if digit.active(state) else [(_INACTIVE, 1)]
                here[state] = sum(n * after[digit.after(state, c)] for c, n in sizes)
            counts.append(here)
        counts.reverse()
        return counts

    def point(self, index: int) -> Params:
        """Return the point with this number, 0 to `size - 1`."""
        params: Params = {}
        state: State = ()
        for place, digit in enumerate(self.digits):
            chosen = _INACTIVE
            if digit.active(state):
                blocks = self._blocks(place, state)
                for value, chosen in zip(digit.values, digit.class_of, strict=True):
                    if index < blocks[chosen]:
                        params[digit.name] = value
                        break
                    index -= blocks[chosen]
            state = digit.after(state, chosen)
        return params

    def index_of(self, params: Params) -> int | None:
        """Return the number of a point; None when it is not one of these points."""
        index = 0
        n_used = 0
        state: State = ()
        for place, digit in enumerate(self.digits):
            chosen = _INACTIVE
            if digit.active(state):
                at = digit.find(params[digit.name]) if digit.name in params else None
                if at is None:
                    return None
                blocks = self._blocks(place, state)
                index += sum(blocks[c] for c in digit.class_of[:at])
                chosen = digit.class_of[at]
                n_used += 1
            state = digit.after(state, chosen)
        return index if n_used == len(params) else None

    def _blocks(self, place: int, state: State) -> list[int]:
        """Completions below each class of the digit at this place."""
        digit, after = self.digits[place], self.counts[place + 1]
        return [after[digit.after(state, c)] for c in range(len(digit.class_sizes))]
