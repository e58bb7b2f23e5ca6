"""A point of a search space as fields of a form, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hpsearch.domain.parameters import FloatParameter, IntParameter, Parameter
from hpsearch.domain.strict import MAX_INT, Scalar
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidStudyError
from hpsearch.wire.pages import StudyView


@dataclass(frozen=True)
class Field:
    """One parameter of the form.

    Attributes:
        text: What it holds at first: the value of the best trial, where there is one.
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


def fields_of(study: StudyView) -> list[Field]:
    """Return the searched parameters as fields, filled in with the best trial so far."""
    best: Mapping[str, Scalar] = study.best.params if study.best is not None else {}
    return [_field(name, parameter, best.get(name)) for name, parameter in study.definition.space.searched().items()]


def _field(name: str, parameter: Parameter, value: Scalar | None) -> Field:
    if isinstance(parameter, FloatParameter | IntParameter):
        start = parameter.low if value is None and not parameter.when else value
        return Field(name, spelled(start), (), parameter.low, parameter.high, bool(parameter.when))
    return Field(name, spelled(value), tuple(map(spelled, parameter.values)), None, None, bool(parameter.when))


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
