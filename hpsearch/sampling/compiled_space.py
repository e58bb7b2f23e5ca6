"""A search space prepared for fast work: parameters in order, with their values and conditions looked up at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hpsearch.domain.layer_widths import is_width
from hpsearch.domain.parameters import FloatParameter, IntParameter, Key, Parameter, key
from hpsearch.domain.space import Space
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params

# What decides how many weights a network has, beside the widths of its layers.
_STRUCTURE: Final = frozenset({"layers", "batch_norm"})


@dataclass(frozen=True)
class Slot:
    """One flat parameter in its place.

    Attributes:
        name: As in trials.
        parameter: Its definition.
        values: All its values, or None when there are too many to list.
        when: For each parent, the values under which this parameter is active; empty means always.
    """

    name: str
    parameter: Parameter
    values: tuple[Scalar, ...] | None
    when: Mapping[str, frozenset[Key]]

    @cached_property
    def searched(self) -> bool:
        """Whether more than one value can be taken."""
        return self.values is None or len(self.values) > 1

    def active(self, params: Mapping[str, Scalar]) -> bool:
        """Return whether the parameter takes part, given its parents' values."""
        return all(parent in params and key(params[parent]) in wanted for parent, wanted in self.when.items())

    def own(self, value: Scalar) -> Scalar | None:
        """Return the parameter's own spelling of a value (its very float where steps were rounded); None if foreign."""
        if self.values is None:
            return value if self.parameter.contains(value) else None
        exact = self._by_key.get(key(value))
        if exact is not None or not self.parameter.contains(value):
            return exact
        numbers = [v for v in self.values if not isinstance(v, bool | str)]
        return min(numbers, key=lambda v: abs(v - value) if not isinstance(value, str) else 0.0, default=None)

    @cached_property
    def ladder(self) -> tuple[Scalar, ...] | None:
        """The values from low to high where they are numbers, else as listed; None for a range without steps.

        An integer range without steps is drawn from its bounds, however few values it has.
        """
        if isinstance(self.parameter, FloatParameter | IntParameter) and self.parameter.steps is None and self.searched:
            return None
        values = self.values or ()
        numbers = [value for value in values if not isinstance(value, bool | str)]
        return tuple(sorted(numbers)) if len(numbers) == len(values) else values

    @cached_property
    def _by_key(self) -> dict[Key, Scalar]:
        return {key(value): value for value in self.values or ()}


@dataclass(frozen=True)
class CompiledSpace:
    """All flat parameters, each after its parents; those that decide the weight count (and their parents) first.

    Attributes:
        slots: The parameters in that order.
        n_structural: How many of the first decide the number of weights.
        names: All names in the order of the definition, as people want to read them.
    """

    slots: tuple[Slot, ...]
    n_structural: int
    names: tuple[str, ...]

    def readable(self, params: Mapping[str, Scalar]) -> Params:
        """Return the point with its parameters in the order of the definition."""
        return {name: params[name] for name in self.names if name in params}

    def own(self, params: Mapping[str, Scalar]) -> Params | None:
        """Return a point in the space's own spelling, with values that are not searched; None if it is no member."""
        point: Params = {}
        for slot in self.slots:
            if not slot.active(point):
                continue
            value = slot.own(params[slot.name]) if slot.name in params else None
            if value is None and not slot.searched and slot.name not in params:
                value = (slot.values or ())[0]
            if value is None:
                return None
            point[slot.name] = value
        return point if params.keys() <= point.keys() else None

    @cached_property
    def searched(self) -> tuple[Slot, ...]:
        """The parameters that can take more than one value."""
        return tuple(slot for slot in self.slots if slot.searched)

    @property
    def structural(self) -> tuple[Slot, ...]:
        """The parameters that decide the number of weights, and those their conditions name."""
        return self.slots[: self.n_structural]


def _ancestors(names: Iterable[str], parents: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(parents[name])
    return found


def _close_together(slots: Mapping[str, Slot], wanted: set[str], placed: dict[str, int]) -> None:
    """Place the wanted slots, children right after their parents: so few conditions are open at any place."""
    waiting = [slot for name, slot in slots.items() if name in wanted]
    while waiting:
        ready = [slot for slot in waiting if all(parent in placed for parent in slot.when)]
        latest = max(max((placed[parent] for parent in slot.when), default=-1) for slot in ready)
        chosen = next(slot for slot in ready if max((placed[p] for p in slot.when), default=-1) == latest)
        placed[chosen.name] = len(placed)
        waiting.remove(chosen)


def compile_space(space: Space) -> CompiledSpace:
    """Return the space prepared; the order depends on nothing but the order of the definition."""
    slots: dict[str, Slot] = {}
    for name, parameter in space.ordered():
        when = {parent: frozenset(map(key, wanted)) for parent, wanted in (parameter.when or {}).items()}
        slots[name] = Slot(name, parameter, parameter.values, when)
    shaping = [name for name in slots if name in _STRUCTURE or is_width(name)]
    structural = _ancestors(shaping, {name: tuple(slot.when) for name, slot in slots.items()})
    placed: dict[str, int] = {}
    _close_together(slots, structural, placed)
    _close_together(slots, set(slots) - structural, placed)
    return CompiledSpace(tuple(slots[name] for name in placed), len(structural), tuple(space.flat()))
