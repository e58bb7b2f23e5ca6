"""Pydantic's complaints about a request, as fields and sentences a person can act on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationError

MAX_SHOWN: Final = 50
_MAX_RECEIVED: Final = 80

_PLAIN: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of at most 19 digits",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be text without lone surrogates",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "union_tag_not_found": "needs a type: int, float, categorical or fixed",
}


def complaints_of(error: ValidationError, received: Any) -> list[dict[str, str]]:
    """Return `complaints` of what pydantic found wrong with what was received."""
    return complaints(error.errors(include_url=False, include_context=False, include_input=False), received)


def complaints(errors: Iterable[Mapping[str, Any]], received: Any) -> list[dict[str, str]]:
    """Return `{"field", "message"}` for each field at fault, at most fifty.

    Branches of a union that all refuse one value become one sentence.

    Args:
        errors: As `ValidationError.errors()` gives them.
        received: What was validated: dicts, lists and scalars.
    """
    found: dict[str, tuple[list[str], Any]] = {}
    for error in errors:
        kind = str(error["type"])
        field, value = _locate(error["loc"], received, keep_last=kind in ("missing", "extra_forbidden"))
        sentences, _ = found.setdefault(field, ([], value))
        sentence = _sentence(kind, str(error["msg"]))
        if sentence not in sentences:
            sentences.append(sentence)
        if len(found) > MAX_SHOWN:
            break
    made = [{"field": field, "message": _with_value(sentences, value)} for field, (sentences, value) in found.items()]
    if len(made) > MAX_SHOWN:
        made[MAX_SHOWN:] = [{"field": "", "message": "there are more errors"}]
    return made


def summary(problems: list[dict[str, str]]) -> str:
    """Return the first complaint as one sentence, with the number of the others."""
    first = problems[0]
    field, message = first["field"], first["message"]
    sentence = (
        f"{field} {message}" if message.startswith(("must", "needs", "is ", "can not")) else f"{field}: {message}"
    )
    rest = len(problems) - 1
    return sentence.strip(": ") + (f" (and {rest} more, see errors)" if rest else "")


def _locate(loc: tuple[str | int, ...], received: Any, *, keep_last: bool) -> tuple[str, Any]:
    """Return the dotted field without the names of union branches, which pydantic mixes in, and the value there."""
    steps: list[str] = []
    for index, step in enumerate(loc):
        inside = (isinstance(received, dict) and step in received) or (
            isinstance(received, list | tuple) and isinstance(step, int) and 0 <= step < len(received)
        )
        if inside:
            received = received[step]
        if inside or (keep_last and index == len(loc) - 1):
            steps.append(str(step)[:200])
    return ".".join(steps), received


def _sentence(kind: str, message: str) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    text = message.removeprefix("Value error, ")
    text = text.replace("Input should be", "must be", 1).replace("String should", "must", 1)
    return text[:1].lower() + text[1:]


def _with_value(sentences: list[str], value: Any) -> str:
    joined = " or ".join(sentences)
    if "received" in joined or joined in (_PLAIN["missing"], _PLAIN["extra_forbidden"]):
        return joined
    if isinstance(value, dict | list | tuple):
        return joined if not joined.startswith("must") else f"{joined}, received {_kind(value)}"
    shown = (
        json.dumps(value, default=str) if value is None or isinstance(value, bool | int | float | str) else _kind(value)
    )
    return f"{joined}, received {shown if len(shown) <= _MAX_RECEIVED else shown[: _MAX_RECEIVED - 1] + '…'}"


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    return f"a list of {len(value)} items" if isinstance(value, list | tuple) else type(value).__name__
