"""Validation messages: the one table from Pydantic's errors to sentences, for command line, page and API alike."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from hpsearch.domain.nearest import nearest
from hpsearch.domain.parameters import CategoricalParameter, FixedParameter, FloatParameter, IntParameter
from hpsearch.domain.study import StudyDefinition
from hpsearch.studyfile.yaml_reader import Location

_PARAMETERS: Final[dict[str, type[BaseModel]]] = {
    "int": IntParameter,
    "float": FloatParameter,
    "categorical": CategoricalParameter,
    "fixed": FixedParameter,
}
# Steps to a field of a parameter: `space`, its name, the field.
_IN_A_PARAMETER: Final = 3
_MAX_SHOWN_CHARACTERS: Final = 80
_MAX_STEP_CHARACTERS: Final = 200
_MISSING: Final = "is missing"
_UNKNOWN: Final = "is not a known field"
_WHOLE: Final = "must be a whole number"
_MAPPING: Final = "must be a mapping of fields"
_SENTENCES: Final = {
    "missing": _MISSING,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": f"{_WHOLE} of at most 19 digits",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text without lone surrogates",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "union_tag_not_found": f"needs a type: one of {', '.join(_PARAMETERS)} (or values: [...], or one bare value)",
}
# What a sentence begins with that goes on from the name of its field; before others stands a colon.
_GOES_ON: Final = ("must ", "needs ", "is ", "can not ")


@dataclass(frozen=True)
class ValidationMessage:
    """One thing that is wrong with what was received.

    Attributes:
        location: Steps to the field at fault, without the union branches that pydantic mixes in; empty for the whole.
        message: What is wrong, with the received value; goes on from the field's name.
        line_location: Steps to where a person looks for it: for a rule over the whole space, the parameter it names.
    """

    location: Location
    message: str
    line_location: Location

    @property
    def field(self) -> str:
        """Dotted path of the field; empty for the whole."""
        return ".".join(str(step)[:_MAX_STEP_CHARACTERS] for step in self.location)


def sentence(field: str, message: str, *, whole: str = "") -> str:
    """Return one sentence of a field and its message.

    Args:
        field: Dotted path.
        message: Of a `ValidationMessage`.
        whole: What the sentence is about where the field is empty.
    """
    name = field or whole
    return f"{name}{'' if message.startswith(_GOES_ON) else ':'} {message}" if name else message


def first_sentence(error: ValidationError, received: Any, model: type[BaseModel] | None = None) -> str:
    """Return the first message of an error as one sentence."""
    first = validation_messages(error.errors(include_url=False), received, model, limit=1)[0]
    return sentence(first.field, first.message)


def validation_messages(
    errors: Iterable[Mapping[str, Any]],
    received: Any,
    model: type[BaseModel] | None = None,
    *,
    limit: int | None = None,
) -> list[ValidationMessage]:
    """Return a message for each field at fault, in pydantic's order.

    Branches of a union that all refuse one value become one message.

    Args:
        errors: As `ValidationError.errors()` gives them.
        received: What was validated: dicts, lists and scalars.
        model: It was validated as; messages of unknown fields then name the known ones.
        limit: Fields shown at most.
    """
    found: dict[Location, tuple[list[str], set[str]]] = {}
    for error in errors:
        kind = str(error["type"])
        location = _without_branches(error["loc"], received, keep_last=kind in ("missing", "extra_forbidden"))
        if kind == "union_tag_invalid":
            location = (*location, "type")
        if location not in found and limit is not None and len(found) == limit:
            break
        texts, kinds = found.setdefault(location, ([], set()))
        kinds.add(kind)
        text = _text(kind, str(error["msg"]), error.get("ctx") or {}, location, received, model)
        if text not in texts:
            texts.append(text)
    made = []
    for location, (texts, kinds) in found.items():
        joined = " or ".join(texts)
        message = joined + _received(joined, kinds, location, received)
        made.append(ValidationMessage(location, message, _parameter_named(joined, location, received)))
    return made


def _without_branches(loc: tuple[str | int, ...], received: Any, *, keep_last: bool) -> Location:
    """Return the location without the names of union branches, which pydantic mixes in."""
    steps: list[str | int] = []
    for index, step in enumerate(loc):
        inside = (isinstance(received, dict) and step in received) or (
            isinstance(received, list | tuple) and isinstance(step, int) and 0 <= step < len(received)
        )
        if inside:
            received = received[step]
        if inside or (keep_last and index == len(loc) - 1):
            steps.append(step)
    return tuple(steps)


def _text(
    kind: str, message: str, facts: Mapping[str, Any], location: Location, received: Any, model: type[BaseModel] | None
) -> str:
    if kind in _SENTENCES:
        return _SENTENCES[kind]
    if kind == "extra_forbidden":
        return _unknown(location, received, model)
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "union_tag_invalid":
        return f"must be one of {', '.join(_PARAMETERS)}"
    if kind in ("too_short", "too_long"):
        at_least = kind == "too_short"
        limit = facts["min_length" if at_least else "max_length"]
        return f"needs at {'least' if at_least else 'most'} {limit} item{'s' if limit > 1 else ''}"
    text = message.replace("Input should be", "must be", 1).replace("String should", "must", 1)
    return text[:1].lower() + text[1:]


def _unknown(location: Location, received: Any, model: type[BaseModel] | None) -> str:
    known = sorted(_fields_around(location, received, model))
    if not known:
        return _UNKNOWN
    meant = nearest(str(location[-1]), known)
    hint = f"did you mean {meant}? " if meant else ""
    return f"{_UNKNOWN}; {hint}known here are {', '.join(known)}"


def _fields_around(location: Location, received: Any, model: type[BaseModel] | None) -> set[str]:
    if model is StudyDefinition and location[:1] == ("space",) and len(location) == _IN_A_PARAMETER:
        parameter = _PARAMETERS.get(received["space"][location[1]].get("type", "categorical"))
        return {*parameter.model_fields} if parameter else set()
    for step in location[:-1]:
        field = model.model_fields.get(str(step)) if model else None
        model = _model_in(field.annotation) if field else None
    return {*model.model_fields} if model else set()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType):
        return next((model for model in map(_model_in, get_args(annotation)) if model), None)
    return None


def _received(text: str, kinds: set[str], location: Location, received: Any) -> str:
    """Return the received value as an afterthought, unless the sentence names it or it is a whole part of the input."""
    if "received" in text or text.startswith((_MISSING, _UNKNOWN)):
        return ""
    for step in location:
        received = received[step]
    if isinstance(received, dict | list | tuple):
        # A rule over several fields names the values it is about.
        return f", received {_shown(received)}" if text.startswith(_GOES_ON) else ""
    return f", received {_shown(received)}{_quotes_hint(kinds, received)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"a mapping of {len(value)} field{'' if len(value) == 1 else 's'}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)} item{'' if len(value) == 1 else 's'}"
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_SHOWN_CHARACTERS else value[: _MAX_SHOWN_CHARACTERS - 1] + "…")
    shown = json.dumps(value) if value is None or isinstance(value, bool | int | float) else type(value).__name__
    return shown if len(shown) <= _MAX_SHOWN_CHARACTERS else shown[: _MAX_SHOWN_CHARACTERS - 1] + "…"


def _quotes_hint(kinds: set[str], value: Any) -> str:
    """Return what to do with the quotes: only where the type of a value counts, not in forms and addresses."""
    if kinds == {"string_type"} and value is not None:
        return "; write it in quotes"
    return "; remove the quotes" if kinds & {"int_type", "float_type"} and _is_number_in_quotes(value) else ""


def _is_number_in_quotes(value: Any) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


def _parameter_named(text: str, location: Location, received: Any) -> Location:
    """Return the location of the parameter that a rule over the whole space is about: the one it names first."""
    if location != ("space",) or not isinstance(received, dict) or not isinstance(received.get("space"), dict):
        return location
    rule = text.partition(";")[0]
    found = {name: re.search(rf"(?<!\w){re.escape(str(name))}(?!\w)", rule) for name in received["space"]}
    named = {match.start(): name for name, match in found.items() if match is not None}
    return (*location, named[min(named)]) if named else location
