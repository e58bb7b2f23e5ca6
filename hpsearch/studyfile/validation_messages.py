"""Pydantic's complaints about a study definition, as sentences a person can act on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
_MAX_SHOWN_CHARACTERS: Final = 120
_PLAIN: Final = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "model_type": "must be a mapping of fields",
    "dict_type": "must be a mapping of fields",
    "model_attributes_type": "must be a mapping of fields",
    "tuple_type": "must be a list",
    "union_tag_not_found": f"needs a type: one of {', '.join(_PARAMETERS)} (or values: [...], or one bare value)",
    "finite_number": "must be a finite number",
}


def complaints(error: ValidationError, data: dict[str, Any]) -> Iterator[tuple[Location, str]]:
    """Yield where in the data something is wrong, and a sentence with the dotted field and the received value.

    Branches of a union that all refuse one value become one sentence.

    Args:
        error: From validating ``data`` as a StudyDefinition.
        data: What was validated: plain dicts, lists and scalars.
    """
    found: dict[Location, list[str]] = {}
    for detail in error.errors(include_url=False):
        location = _location(detail["loc"], data, missing=detail["type"] in ("missing", "extra_forbidden"))
        if detail["type"] == "union_tag_invalid":
            location = (*location, "type")
        sentence = _sentence(detail["type"], detail["msg"], detail.get("ctx") or {}, location, data)
        if sentence not in found.setdefault(location, []):
            found[location].append(sentence)
    for location, sentences in found.items():
        dotted = ".".join(map(str, location)) or "the definition"
        joined = " or ".join(sentences)
        gap = "" if joined.startswith(":") else " "
        yield _named_in(joined, location, data), f"{dotted}{gap}{joined}{_received(joined, location, data)}"


def _named_in(sentence: str, location: Location, data: dict[str, Any]) -> Location:
    """Return the location of the parameter that a rule over the whole space is about: the one it names first."""
    if location != ("space",) or not isinstance(data.get("space"), dict):
        return location
    rule = sentence.partition(";")[0]
    found = {name: re.search(rf"(?<!\w){re.escape(name)}(?!\w)", rule) for name in data["space"]}
    named = {match.start(): name for name, match in found.items() if match is not None}
    return (*location, named[min(named)]) if named else location


def _location(loc: tuple[str | int, ...], data: Any, *, missing: bool) -> Location:
    """Return the location without the names of union branches, which pydantic mixes in."""
    here: list[str | int] = []
    for index, step in enumerate(loc):
        known = (isinstance(data, dict) and step in data) or (
            isinstance(data, list) and isinstance(step, int) and step < len(data)
        )
        if known:
            data = data[step]
        if known or (missing and index == len(loc) - 1):
            here.append(step)
    return tuple(here)


def _sentence(kind: str, message: str, facts: dict[str, Any], location: Location, data: dict[str, Any]) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown(location, data)
    if kind == "value_error":
        text = message.removeprefix("Value error, ")
        return text if text.startswith("must") else f": {text}"
    if kind == "union_tag_invalid":
        return f"must be one of {', '.join(_PARAMETERS)}"
    if kind in ("too_short", "too_long"):
        at_least = kind == "too_short"
        limit = facts["min_length" if at_least else "max_length"]
        return f"needs at {'least' if at_least else 'most'} {limit} item{'s' if limit > 1 else ''}"
    plain = _PLAIN.get(kind) or message.replace("Input should be", "must be", 1)
    return plain[:1].lower() + plain[1:]


def _unknown(location: Location, data: dict[str, Any]) -> str:
    known = sorted(_fields_around(location, data))
    meant = nearest(str(location[-1]), known)
    hint = f"did you mean {meant}? " if meant else ""
    return f"is not a known field; {hint}known here are {', '.join(known)}" if known else "is not a known field"


def _fields_around(location: Location, data: dict[str, Any]) -> set[str]:
    if location[:1] == ("space",) and len(location) == _IN_A_PARAMETER:
        parameter = data["space"][location[1]]
        model = _PARAMETERS.get(parameter.get("type", "categorical"))
        return {*model.model_fields} if model else set()
    current: type[BaseModel] | None = StudyDefinition
    for step in location[:-1]:
        field = current.model_fields.get(str(step)) if current else None
        current = _model_in(field.annotation) if field else None
    return {*current.model_fields} if current else set()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType):
        return next((model for model in map(_model_in, get_args(annotation)) if model), None)
    return None


def _received(sentence: str, location: Location, data: Any) -> str:
    """Return the received value as an afterthought, unless the sentence has it or it is too long to help."""
    if "received" in sentence or sentence.startswith("is missing"):
        return ""
    for step in location:
        data = data[step]
    if sentence.startswith(":") and isinstance(data, dict | list):
        return ""  # a rule over several fields: its sentence names the values it is about
    if isinstance(data, str):
        unquoted = data.strip()
        hint = "; remove the quotes" if "number" in sentence and _is_number(unquoted) else ""
        return f", received {data[:80]!r}{hint}"
    shown = json.dumps(data, ensure_ascii=False, default=str)
    hint = "; write it in quotes" if sentence == "must be text" and not isinstance(data, dict | list) else ""
    return f", received {shown if len(shown) <= _MAX_SHOWN_CHARACTERS else shown[:_MAX_SHOWN_CHARACTERS] + '…'}{hint}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
