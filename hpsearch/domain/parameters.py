"""The parameters of a search space: kinds, bounds and which values they admit."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from hpsearch.domain.strict import Bool, Float, Frozen, Int, Name, Scalar, at_most

MAX_CHOICES: Final = 1_000
MAX_STEPS: Final = 10_000
_MAX_CONDITIONS: Final = 8

# The first value that is none is complained about, not all of them.
_Values = Annotated[
    tuple[Scalar, ...], Field(min_length=1, max_length=MAX_CHOICES, fail_fast=True), at_most(MAX_CHOICES)
]
# A parameter's name, and each value of it under which another parameter is active.
Condition = Annotated[dict[Name, _Values], Field(min_length=1, max_length=_MAX_CONDITIONS), at_most(_MAX_CONDITIONS)]

Key = tuple[bool, Scalar]


def key(value: Scalar) -> Key:
    """Return a hashable stand-in under which ``1`` equals ``1.0`` but not ``true``, as `same` has it."""
    return (isinstance(value, bool), value)


def same(left: Scalar, right: Scalar) -> bool:
    """Return whether two values are the same choice: ``1`` and ``1.0`` are, ``1`` and ``true`` are not."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


class _Conditional(Frozen):
    when: Condition | None = Field(
        default=None, description="Active only while each named parameter has one of these values."
    )


def _check_bounds(low: float, high: float, *, log: bool, steps: int | None) -> None:
    if low > high:
        msg = f"low must not exceed high, received low {low} and high {high}"
        raise ValueError(msg)
    if log and low <= 0:
        msg = f"log needs bounds above 0 (real values, not exponents), received low {low}"
        raise ValueError(msg)
    if steps is not None and steps > 1 and low == high:
        msg = f"{steps} steps need low below high, received {low} for both"
        raise ValueError(msg)


# 10,000 values take a millisecond to make, and are asked for again and again: those of the largest space are kept.
# Typed, because 1 and 1.0 are the same key otherwise.
@lru_cache(maxsize=64, typed=True)
def _evenly(low: float, high: float, steps: int, *, log: bool) -> tuple[float, ...]:
    if steps == 1:
        return (low,)
    if log:
        ratio = math.log(high / low) / (steps - 1)
        inner = [low * math.exp(ratio * i) for i in range(1, steps - 1)]
    else:
        inner = [low + (high - low) * i / (steps - 1) for i in range(1, steps - 1)]
    return (low, *inner, high)


@lru_cache(maxsize=64)
def _whole(low: int, high: int, steps: int | None, *, log: bool) -> tuple[int, ...]:
    if steps is None:
        return tuple(range(low, high + 1))
    return tuple(dict.fromkeys(round(value) for value in _evenly(low, high, steps, log=log)))


def _has(rising: Sequence[float], value: float, *, rel_tol: float) -> bool:
    """Return whether one of the rising numbers is this one, but for a relative difference."""
    place = bisect_left(rising, value)
    return any(math.isclose(value, near, rel_tol=rel_tol) for near in rising[max(0, place - 1) : place + 1])


class FloatParameter(_Conditional):
    """A real number from `low` to `high`, both ends included.

    `log` draws uniformly in the logarithm; the bounds stay real values. `steps` restricts the parameter to that many
    evenly spaced points (in the logarithm when `log`), for every algorithm.
    """

    type: Literal["float"]
    low: Float
    high: Float
    log: Bool = False
    steps: Annotated[Int, Field(ge=1, le=MAX_STEPS)] | None = None

    @model_validator(mode="after")
    def _bounds(self) -> FloatParameter:
        _check_bounds(self.low, self.high, log=self.log, steps=self.steps)
        return self

    @property
    def values(self) -> tuple[Scalar, ...] | None:
        """The points of a stepped parameter, rising; None when continuous (or its one point when low = high)."""
        if self.steps is None:
            return (self.low,) if self.low == self.high else None
        return _evenly(self.low, self.high, self.steps, log=self.log)

    def contains(self, value: Scalar) -> bool:
        """Return whether the value may be taken."""
        if isinstance(value, bool | str):
            return False
        if self.steps is not None:
            return _has(_evenly(self.low, self.high, self.steps, log=self.log), value, rel_tol=1e-9)
        return self.low <= value <= self.high


class IntParameter(_Conditional):
    """An integer from `low` to `high`, both ends included.

    `log` favours small values evenly per octave. `steps` restricts it to that many evenly spaced integers (in the
    logarithm when `log`; duplicates after rounding fall together). `per_layer` (for `units` only) gives each hidden
    layer its own width: `units_1` … `units_n`.
    """

    type: Literal["int"]
    low: Int
    high: Int
    log: Bool = False
    steps: Annotated[Int, Field(ge=1, le=MAX_STEPS)] | None = None
    per_layer: Bool = False

    @model_validator(mode="after")
    def _bounds(self) -> IntParameter:
        _check_bounds(self.low, self.high, log=self.log, steps=self.steps)
        return self

    @property
    def values(self) -> tuple[Scalar, ...] | None:
        """The points of the parameter, rising; None when there are more than 10,000 of them and no `steps`."""
        if self.steps is None and self.high - self.low >= MAX_STEPS:
            return None
        return _whole(self.low, self.high, self.steps, log=self.log)

    def contains(self, value: Scalar) -> bool:
        """Return whether the value may be taken."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        if self.steps is not None:
            return _has(_whole(self.low, self.high, self.steps, log=self.log), value, rel_tol=0.0)
        return self.low <= value <= self.high


class CategoricalParameter(_Conditional):
    """One of a list of values, without an order."""

    type: Literal["categorical"]
    choices: _Values
    per_layer: Bool = False

    @model_validator(mode="after")
    def _distinct(self) -> CategoricalParameter:
        seen: set[Key] = set()
        for choice in self.choices:
            if key(choice) in seen:
                msg = f"choices must differ, received {choice!r} twice"
                raise ValueError(msg)
            seen.add(key(choice))
        return self

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The choices."""
        return self.choices

    def contains(self, value: Scalar) -> bool:
        """Return whether the value may be taken."""
        return any(same(value, choice) for choice in self.choices)


class FixedParameter(_Conditional):
    """One value that is not searched; a bare value in the space means this."""

    type: Literal["fixed"]
    value: Scalar

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The one value."""
        return (self.value,)

    def contains(self, value: Scalar) -> bool:
        """Return whether the value may be taken."""
        return same(value, self.value)


Parameter = FloatParameter | IntParameter | CategoricalParameter | FixedParameter


def first_foreign(parameter: Parameter, values: Iterable[Scalar]) -> Scalar | None:
    """Return the first of the values that the parameter never takes; None when it may take them all."""
    if isinstance(parameter, CategoricalParameter):
        known = set(map(key, parameter.choices))
        return next((value for value in values if key(value) not in known), None)
    return next((value for value in values if not parameter.contains(value)), None)


def _shown(value: Any) -> str:
    shown = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return shown if len(shown) <= 80 else f"{shown[:79]}…"  # noqa: PLR2004 - a line


def _spell_out(raw: Any) -> Any:
    """Turn the short forms (a bare value; ``values: […]``) into a full parameter."""
    if isinstance(raw, bool | int | float | str):
        return {"type": "fixed", "value": raw}
    if isinstance(raw, dict) and "values" in raw and raw.get("type", "categorical") in ("categorical", "int", "float"):
        short = dict(raw)
        kind = short.pop("type", "categorical")
        unwanted = sorted(set(short) - {"values", "when", "per_layer"})
        if unwanted:
            msg = f"values stand alone, received also {', '.join(unwanted)}"
            raise ValueError(msg)
        values = short.pop("values")
        if kind != "categorical" and isinstance(values, list) and len(values) <= MAX_CHOICES:
            types, what = ((int,), "integers") if kind == "int" else ((int, float), "numbers")
            for value in values:
                if type(value) not in types:
                    article = "an" if kind == "int" else "a"
                    msg = f"values of {article} {kind} parameter must be {what}, received {_shown(value)}"
                    raise ValueError(msg)
            values = values if kind == "int" else [float(value) for value in values]
        return {"type": "categorical", "choices": values, **short}
    return raw


AnyParameter = Annotated[Parameter, Field(discriminator="type"), BeforeValidator(_spell_out)]
