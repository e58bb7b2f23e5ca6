"""A point of a search space as fields of a form, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hpsearch.domain.layer_widths import SHARED, is_width
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.parameters import FloatParameter, IntParameter, Parameter
from hpsearch.domain.space import Space
from hpsearch.domain.strict import MAX_INT, Scalar
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidStudyError
from hpsearch.wire.pages import StudyView

_NETWORK: Final = MlpConfig()
_DEFAULTS: Final[dict[str, Scalar]] = {
    "layers": len(_NETWORK.units),
    "units": _NETWORK.units[0],
    **{name: value for name, value in _NETWORK if isinstance(value, bool | int | float | str)},
}


@dataclass(frozen=True)
class Field:
    """One parameter of the form.

    Attributes:
        text: What it holds at first: the value of the best search trial, or a default.
        choices: What a choice can be; empty for numbers.
        low: Smallest number.
        high: Largest number.
        is_conditional: Whether it may be left empty.
    """

    name: str
    text: str
    choices: tuple[str, ...]
    low: float | None
    high: float | None
    is_conditional: bool


def spelled(value: Scalar | None) -> str:
    """Return a value as it stands in a form."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def fields_of(study: StudyView, best: Params | None) -> list[Field]:
    """Return the searched parameters as fields, filled in with a point of the space.

    Args:
        study: Whose space.
        best: Parameters of the best search trial; None before the first result, when defaults stand in for it.
    """
    space = study.definition.space
    point = _default_point(space) if best is None else best
    return [_field(name, parameter, point.get(name)) for name, parameter in space.searched().items()]


def _field(name: str, parameter: Parameter, value: Scalar | None) -> Field:
    if isinstance(parameter, FloatParameter | IntParameter):
        return Field(name, spelled(value), (), parameter.low, parameter.high, bool(parameter.when))
    return Field(name, spelled(value), tuple(map(spelled, parameter.values)), None, None, bool(parameter.when))


def _default_point(space: Space) -> Params:
    point: Params = {}
    for name, parameter in space.ordered():
        if space.active(parameter, point):
            point[name] = _default(name, parameter)
    return point


def _default(name: str, parameter: Parameter) -> Scalar:
    """Return the network's own default where the parameter admits it, else the middle of what it admits."""
    usual = _DEFAULTS.get(SHARED if is_width(name) else name)
    if usual is not None and parameter.contains(usual):
        return usual
    if not isinstance(parameter, FloatParameter | IntParameter) or parameter.steps is not None:
        values = parameter.values or ()
        return values[(len(values) - 1) // 2]
    middle = math.sqrt(parameter.low * parameter.high) if parameter.log else (parameter.low + parameter.high) / 2
    return round(middle) if isinstance(parameter, IntParameter) else float(f"{middle:.3g}")


def point_of(study: StudyView, form: Mapping[str, str]) -> Params:
    """Return the point a form holds; empty fields are left out.

    Raises:
        InvalidStudyError: A field is not a parameter of the space, or its text not one of its values.
    """
    searched = study.definition.space.searched()
    point: Params = {}
    for name, text in form.items():
        parameter = searched.get(name)
        if parameter is None:
            msg = f"{name[:80]!r} is not a searched parameter of this study"
            raise InvalidStudyError(msg, code="point.invalid")
        if text.strip():
            point[name] = _value(name, parameter, text.strip())
    return point


def _value(name: str, parameter: Parameter, text: str) -> Scalar:
    if not isinstance(parameter, FloatParameter | IntParameter):
        for choice in parameter.values:
            if spelled(choice) == text:
                return choice
        msg = f"{name} must be one of {', '.join(map(spelled, parameter.values))}, received {text[:80]!r}"
        raise InvalidStudyError(msg, code="point.invalid")
    try:
        value = int(text) if isinstance(parameter, IntParameter) else float(text)
    except ValueError:
        value = math.nan
    if not -MAX_INT <= value <= MAX_INT:  # nor is NaN
        kind = "a whole number" if isinstance(parameter, IntParameter) else "a number"
        msg = f"{name} must be {kind} from {parameter.low} to {parameter.high}, received {text[:80]!r}"
        raise InvalidStudyError(msg, code="point.invalid")
    return value
