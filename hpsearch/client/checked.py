"""Argument validation of public methods: what does not fit is an error a person can act on."""

from __future__ import annotations

import functools
import inspect
import numbers
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Final, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from hpsearch.errors import InvalidInputError

Call = ParamSpec("Call")
Result = TypeVar("Result")
Class = TypeVar("Class")

_MAX_SHOWN: Final = 80
_WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    Path: "a path",
    NoneType: "None",
}


def checked(kind: type[Class]) -> type[Class]:
    """Return the class with all its public methods checked as `checked_call` checks a function."""
    for name, member in list(vars(kind).items()):
        if inspect.isfunction(member) and not name.startswith("_"):
            setattr(kind, name, checked_call(member))
    return kind


def checked_call(function: Callable[Call, Result]) -> Callable[Call, Result]:
    """Return the function with its arguments compared to their annotations, which must resolve in its module.

    Values are handed on as they are. A body that pydantic refuses is told the same way.

    Raises:
        InvalidInputError: On a call, with code `argument.invalid`: what was received and what was expected.
    """
    signature = inspect.signature(function)
    label = function.__qualname__

    @functools.cache
    def expected() -> dict[str, Any]:
        # The result may be of a package that is not installed.
        given = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
        return get_type_hints(SimpleNamespace(__annotations__=given), globalns=function.__globals__)

    @functools.wraps(function)
    def call(*args: Call.args, **kwargs: Call.kwargs) -> Result:
        given = signature.bind(*args, **kwargs).arguments
        for name, hint in expected().items():
            if name in given and not _fits(given[name], hint):
                raise unfit(given[name], " or ".join(dict.fromkeys(_words(hint))), what=f"{label}: {name}")
        try:
            return function(*args, **kwargs)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(step) for step in first["loc"]) or "the value"
            raise unfit(
                first["input"], first["msg"].removeprefix("Input should be "), what=f"{label}: {field}"
            ) from None

    return call


def unfit(received: object, expected: str, *, what: str) -> InvalidInputError:
    """Return the error that says what was received and what was expected.

    Args:
        received: The value.
        expected: In words.
        what: Which argument of which function.
    """
    message = f"{what} must be {expected}, received {shown(received)}"
    return InvalidInputError(message, code="argument.invalid")


def shown(value: object) -> str:
    """Return a value as it stands in an error: its kind, and itself where it is short."""
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    if value is None:
        return "None"
    if isinstance(value, str | int | float | os.PathLike):
        text = repr(value)
        return f"{text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + '…'} ({name})"
    return f"a value of type {name}"


def _fits(value: object, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(hint))
    kind = origin or hint
    if kind is bool:
        return isinstance(value, bool)
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if kind is float:
        return isinstance(value, numbers.Real) and not isinstance(value, bool)
    return kind is Any or not isinstance(kind, type) or isinstance(value, kind)


def _words(hint: Any) -> list[str]:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return [word for one in get_args(hint) for word in _words(one)]
    if origin is Literal:
        return [repr(one) for one in get_args(hint)]
    kind = origin or hint
    if kind is Mapping:
        return ["a dictionary"]
    return [_WORDS.get(kind) or getattr(kind, "DISPLAY_NAME", None) or f"a {getattr(kind, '__name__', kind)}"]
