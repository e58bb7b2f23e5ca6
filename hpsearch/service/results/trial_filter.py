"""Filters of trials as people write them: `units >= 32, activation = relu|tanh, learning_rate = 0.001..0.01`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from hpsearch.domain.parameters import FloatParameter, IntParameter, Parameter
from hpsearch.errors import InvalidInputError
from hpsearch.storage.conditions import Condition, Span

MAX_CHARACTERS: Final = 1000
_MAX_CONDITIONS: Final = 32
_MAX_VALUES: Final = 64

_COMPARISON: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(<=|>=|!=|=|<|>)\s*(.*)", re.DOTALL)
# What stands for a column beside its own name.
_NAMES: Final = {
    "trial": "number",
    "number": "number",
    "value": "value",
    "epochs": "epochs",
    "weights": "n_weights",
    "n_weights": "n_weights",
    "device_seconds": "device_seconds",
    "duration_s": "duration_s",
}
_WHOLE: Final = frozenset({"number", "epochs", "n_weights"})


def conditions_of(text: str, parameters: Mapping[str, Parameter], metric: str) -> tuple[Condition, ...]:
    """Return the conditions a filter consists of; all of them must hold.

    Conditions are separated by commas. Each compares a parameter, the metric, `trial`, `epochs` or `weights` by one of
    `=`, `!=`, `<`, `<=`, `>`, `>=`; after `=` and `!=` several values may stand, separated by `|`, and ranges
    `low..high`. A number alone is the number of a trial, a word alone a value of any parameter. A real number that is
    asked for with few digits stands for all that are shown so.

    Args:
        text: As written.
        parameters: Of the study's trials, by name.
        metric: Of the study.

    Raises:
        InvalidInputError: Code `filter.invalid`; says which part can not be understood.
    """
    if len(text) > MAX_CHARACTERS:
        msg = f"it has {len(text)} characters, at most {MAX_CHARACTERS} are taken"
        raise _wrong(msg)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > _MAX_CONDITIONS:
        msg = f"it has {len(parts)} conditions, at most {_MAX_CONDITIONS} are taken"
        raise _wrong(msg)
    return tuple(_condition(part, parameters, metric) for part in parts)


def _wrong(why: str) -> InvalidInputError:
    return InvalidInputError(f"the filter can not be used: {why}", code="filter.invalid")


def _condition(part: str, parameters: Mapping[str, Parameter], metric: str) -> Condition:
    match = _COMPARISON.fullmatch(part)
    if match is None:
        return _alone(part, parameters)
    name, operator, right = match[1], match[2], match[3].strip()
    if name in parameters:
        field, kind = f"param.{name}", _kind(parameters[name])
        is_real = isinstance(parameters[name], FloatParameter) and getattr(parameters[name], "steps", None) is None
    elif name == metric or name in _NAMES:
        field, kind = "value" if name == metric else _NAMES[name], "number"
        is_real = field not in _WHOLE
    else:
        known = ", ".join([*parameters, metric, "trial", "epochs", "weights"])
        msg = f"{name!r} is not a column of this board; known are {known}"
        raise _wrong(msg)
    if operator not in ("=", "!="):
        if kind != "number":
            msg = f"{name} has no order: compare it with = or !=, received {part!r}"
            raise _wrong(msg)
        return Condition((field,), (_bound(operator, _number(right, part)),))
    texts = [one.strip() for one in right.split("|")]
    if len(texts) > _MAX_VALUES or not all(texts):
        msg = f"after {operator} stand 1 to {_MAX_VALUES} values separated by |, received {part[:80]!r}"
        raise _wrong(msg)
    values = tuple(_value(one, kind, parameters.get(name), part, is_real=is_real) for one in texts)
    return Condition((field,), values, negated=operator == "!=")


def _kind(parameter: Parameter) -> str:
    if isinstance(parameter, FloatParameter | IntParameter):
        return "number"
    if all(isinstance(value, bool) for value in parameter.values):
        return "flag"
    return "text" if any(isinstance(value, bool | str) for value in parameter.values) else "number"


def _alone(part: str, parameters: Mapping[str, Parameter]) -> Condition:
    number = part.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 19:  # noqa: PLR2004 - digits of a 64-bit number
        return Condition(("number",), (Span(float(number), float(number)),))
    fields = tuple(
        f"param.{name}"
        for name, parameter in parameters.items()
        if _kind(parameter) == "text" and part in (parameter.values or ())
    )
    if not fields:
        msg = f"{part[:80]!r} is no comparison such as units >= 32, no number of a trial and no value"
        raise _wrong(msg)
    return Condition(fields, (part,))


def _value(text: str, kind: str, parameter: Parameter | None, part: str, *, is_real: bool) -> Span | str | bool:
    if kind == "number":
        low, dots, high = text.partition("..")
        if dots:
            return Span(_number(low, part) if low else -math.inf, _number(high, part) if high else math.inf)
        value = _number(text, part)
        half = _half_digit(text) if is_real else 0.0
        return Span(value - half, value + half)
    values = () if parameter is None else parameter.values or ()
    known = {str(value).lower() if isinstance(value, bool) else str(value) for value in values}
    if text not in known:
        msg = f"{text[:80]!r} in {part[:80]!r} is not a value it can take; known are {', '.join(sorted(known))}"
        raise _wrong(msg)
    return text == "true" if kind == "flag" else text


def _bound(operator: str, value: float) -> Span:
    is_open = operator in ("<", ">")
    return Span(high=value, is_open=is_open) if operator[0] == "<" else Span(low=value, is_open=is_open)


def _number(text: str, part: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"expected a number, received {text.strip()[:80]!r} in {part[:80]!r}"
        raise _wrong(msg)
    return value


def _half_digit(text: str) -> float:
    """Return half of the last digit's unit: `0.97` stands for 0.965 to 0.975."""
    try:
        exponent = Decimal(text).as_tuple().exponent
    except InvalidOperation:
        return 0.0
    return 0.5 * 10.0**exponent if isinstance(exponent, int) and exponent < 0 else 0.0
