"""Strict scalar types and the frozen base of all domain values.

Pydantic's lax mode takes ``"7"`` and ``true`` for an int and accepts NaN; its model-wide strict mode refuses a JSON
list for a tuple. So strictness is chosen type by type here.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints

# The largest integer JSON readers in other languages keep exactly; far inside BIGINT of both databases.
MAX_INT = 2**53 - 1
_JOINER = "\u200d"


# Texts may have megabytes: looked through by the regular expression, not character by character.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _printable(text: str) -> str:
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs"):
            msg = f"must not contain control characters or lone surrogates, received U+{ord(character):04X}"
            raise ValueError(msg)
    return text


def visible(text: str) -> str:
    """Return a name in which every sign shows; an emoji may be joined of several.

    Raises:
        ValueError: It holds one that turns the direction of text, breaks the line or is not to be seen: such a name
            looks like another one.
    """
    for place, character in enumerate(text):
        joins = character == _JOINER and 0 < place < len(text) - 1 and unicodedata.category(text[place + 1]) == "So"
        if unicodedata.category(character) in ("Cf", "Zl", "Zp") and not joins:
            msg = f"must not contain invisible or direction-changing characters, received U+{ord(character):04X}"
            raise ValueError(msg)
    return text


def _storable(text: str) -> str:
    found = _UNSTORABLE.search(text)
    if found is not None:
        msg = f"must not contain NUL or lone surrogates, received U+{ord(found[0]):04X}"
        raise ValueError(msg)
    return text


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        msg = f"must be a number, received {str(value).lower()}"
        raise ValueError(msg)  # noqa: TRY004 - pydantic turns ValueError into a validation error
    return value


def at_most(n: int) -> BeforeValidator:
    """Return a check of a list's or an object's length that comes before any look at what is in it.

    `Field(max_length=…)`, which belongs beside it for the documentation, is asked last: by then each item has been
    checked and every complaint about it made, which for the largest bodies takes seconds and gigabytes.

    Args:
        n: Items or fields it may have.
    """

    def check(value: Any) -> Any:
        if isinstance(value, list | tuple | dict) and len(value) > n:
            kind = "fields" if isinstance(value, dict) else "items"
            msg = f"must have at most {n} {kind}, received {len(value)}"
            raise ValueError(msg)
        return value

    return BeforeValidator(check)


Int = Annotated[int, Strict(), Field(ge=-MAX_INT, le=MAX_INT)]
Count = Annotated[int, Strict(), Field(ge=0, le=MAX_INT)]
Positive = Annotated[int, Strict(), Field(ge=1, le=MAX_INT)]
Float = Annotated[float, Strict(), Field(allow_inf_nan=False), BeforeValidator(_not_bool)]
Bool = Annotated[bool, Strict()]
Text = Annotated[str, Strict(), AfterValidator(_storable)]
Name = Annotated[str, Strict(), StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
# A name somebody gives now. What is stored and read is a Name: it may be older than this rule.
NewName = Annotated[Name, AfterValidator(visible)]
Seed = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1)]
Seconds = Annotated[float, Strict(), Field(gt=0, le=3.2e9, allow_inf_nan=False), BeforeValidator(_not_bool)]

# One value of one hyperparameter, as it travels in JSON.
Scalar = Annotated[bool, Strict()] | Int | Float | Name


class Frozen(BaseModel):
    """A frozen value that refuses unknown fields: what clients send."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lenient(BaseModel):
    """A frozen value that ignores unknown fields: what servers answer, so that older clients survive newer servers."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
