"""Inverse transform sampling: from numbers between 0 and 1 to points of a space, and back.

Every sampler draws through `point_at`: random search gives it uniform numbers, Bayesian search its first, evenly
spread ones, and repairs move a point by moving its numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final, cast

from hpsearch.domain.parameters import CategoricalParameter, FloatParameter, IntParameter, Key, Parameter, key
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import CompiledSpace, Slot

_FEWEST_IN_ORDER: Final = 3


def ordinal(slot: Slot) -> bool:
    """Return whether the values have an order that a model can use: they are numbers, and not a mere choice of two."""
    values = slot.values or ()
    if not isinstance(slot.parameter, CategoricalParameter):
        return True
    return len(values) >= _FEWEST_IN_ORDER and not any(isinstance(value, bool | str) for value in values)


def value_at(slot: Slot, u: float) -> Scalar:
    """Return the value at a share of the parameter's distribution.

    Choices and steps are equally likely. Floats are uniform between their bounds, or in the logarithm. Integers are
    uniform; with `log` they are the rounded exponential of a number uniform from ``log(low - 1/2)`` to
    ``log(high + 1/2)``, so that both ends get their full share.

    Args:
        slot: The parameter.
        u: 0 to 1, both included; rising u gives rising values.
    """
    rungs = slot.ladder
    if rungs is not None:
        return rungs[min(int(u * len(rungs)), len(rungs) - 1)]
    return _between(slot.parameter, u)


def _between(parameter: Parameter, u: float) -> Scalar:
    if isinstance(parameter, FloatParameter):
        low, high = parameter.low, parameter.high
        if u in (0.0, 1.0):  # where the exponential of a logarithm would miss the bound by rounding
            return high if u else low
        value = math.exp(_mix(math.log(low), math.log(high), u)) if parameter.log else _mix(low, high, u)
        return min(max(value, low), high)
    if not isinstance(parameter, IntParameter):
        msg = f"only a range has values between its bounds, received {parameter!r}"
        raise TypeError(msg)
    if parameter.log:
        whole = round(math.exp(_mix(math.log(parameter.low - 0.5), math.log(parameter.high + 0.5), u)))
    else:
        whole = parameter.low + int(u * (parameter.high - parameter.low + 1))
    return min(max(whole, parameter.low), parameter.high)


def _mix(low: float, high: float, u: float) -> float:
    return low + u * (high - low)


def position_of(slot: Slot, value: Scalar) -> float:
    """Return a share of the distribution, 0 to 1, at which `value_at` gives this value (the middle of its range).

    Raises:
        ValueError: The parameter never takes the value.
    """
    rungs = slot.ladder
    if rungs is not None:
        return (_rung(slot, rungs, value) + 0.5) / len(rungs)
    parameter = slot.parameter
    if not isinstance(parameter, FloatParameter | IntParameter) or isinstance(value, bool | str):
        msg = f"{slot.name} can not be {value!r}"
        raise ValueError(msg)  # noqa: TRY004 - the value's type is one way not to be in the space
    half = 0.5 if isinstance(parameter, IntParameter) else 0.0
    low, high = parameter.low - half, parameter.high + half
    if parameter.log:
        return (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)


def _rung(slot: Slot, rungs: tuple[Scalar, ...], value: Scalar) -> int:
    """Return the place of a value on the ladder: of numbers the nearest."""
    if isinstance(slot.parameter, FloatParameter | IntParameter) and not isinstance(value, bool | str):
        steps = cast("tuple[float, ...]", rungs)  # they rise, and may be thousands
        place = bisect_left(steps, value)
        near = range(max(0, place - 1), min(place + 1, len(steps)))
        return min(near, key=lambda i: abs(steps[i] - value))
    wanted: Key = key(value)
    exact = next((i for i, rung in enumerate(rungs) if key(rung) == wanted), None)
    if exact is not None:
        return exact
    numbers = {i: rung for i, rung in enumerate(rungs) if not isinstance(rung, bool | str)}
    if isinstance(value, bool | str) or not numbers:
        msg = f"{value!r} is not one of {rungs!r}"
        raise ValueError(msg)
    return min(numbers, key=lambda i: abs(numbers[i] - value))


def point_at(space: CompiledSpace, shares: Mapping[str, float]) -> Params:
    """Return the point of the space at these shares; fixed values are filled in, inactive parameters left out.

    Args:
        space: The space.
        shares: For every searched parameter, active or not, a number from 0 to 1.
    """
    return _placed(space.slots, shares)


def structure_at(space: CompiledSpace, shares: Mapping[str, float]) -> Params:
    """Return what of the point at these shares decides the number of weights, with what its conditions name."""
    return _placed(space.structural, shares)


def _placed(slots: Iterable[Slot], shares: Mapping[str, float]) -> Params:
    params: Params = {}
    for slot in slots:
        if not slot.when or slot.active(params):
            params[slot.name] = value_at(slot, shares[slot.name]) if slot.searched else (slot.values or ())[0]
    return params


def shares_of(space: CompiledSpace, params: Mapping[str, Scalar]) -> dict[str, float]:
    """Return shares at which `point_at` gives this point; parameters that are not active stand in the middle."""
    return {slot.name: position_of(slot, params[slot.name]) if slot.name in params else 0.5 for slot in space.searched}
