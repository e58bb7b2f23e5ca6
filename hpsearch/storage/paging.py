"""Keyset pages: where one ended, told in a token the next request gives back."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, false, or_

from hpsearch.errors import InvalidInputError

MAX_LIMIT: Final = 1000
_PAST_ALL_NUMBERS: Final = 2**63

# An order is a list of (column, descending). The last column is unique and never NULL; NULLs of the others come last.
Order = Sequence[tuple[ColumnElement[Any], bool]]


def encode_token(scope: str, values: Sequence[object]) -> str:
    """Return an opaque token for the position after the row with these order values."""
    raw = json.dumps([scope, *values], separators=(",", ":"), allow_nan=False)
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def decode_token(scope: str, page_token: str, *, length: int) -> list[Any]:
    """Return the order values in a token.

    Raises:
        InvalidInputError: It was not made by `encode_token` for the same scope.
    """
    try:
        raw = base64.urlsafe_b64decode(page_token + "=" * (-len(page_token) % 4))
        found, *values = json.loads(raw)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        found, values = None, []
    if found != scope or len(values) != length or not all(isinstance(v, str | int | float | None) for v in values):
        raise _not_ours()
    return list(values)


def _not_ours() -> InvalidInputError:
    return InvalidInputError(
        "page_token is not one this list gave out; start again without it", code="page_token.invalid"
    )


def checked(order: Order, values: Sequence[Any], *, some_missing: bool = True) -> Sequence[Any]:
    """Return the order values of a token as they are.

    Args:
        order: What the values are of.
        values: From the token.
        some_missing: Whether rows without a value are listed, where a column allows them.

    Raises:
        InvalidInputError: One is nothing that its column could hold: a database would refuse the comparison.
    """
    for (column, _), value in zip(order, values, strict=True):
        may_miss = some_missing and getattr(column, "nullable", True)
        if not (may_miss if value is None else _fits(column, value)):
            raise _not_ours()
    if not isinstance(values[-1], int):  # an id or a number
        raise _not_ours()
    return values


def _fits(column: ColumnElement[Any], value: str | float) -> bool:
    if column.type.python_type is str:
        # A lone surrogate can not be sent to a database, a NUL not to PostgreSQL.
        return (
            isinstance(value, str) and "\x00" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)
        )
    return not isinstance(value, str | bool) and abs(value) < _PAST_ALL_NUMBERS


def check_limit(limit: int) -> int:
    """Return the limit.

    Raises:
        InvalidInputError: It is outside 1 to 1,000.
    """
    if not 1 <= limit <= MAX_LIMIT:
        msg = f"limit must be from 1 to {MAX_LIMIT}, received {limit}"
        raise InvalidInputError(msg, code="limit.invalid")
    return limit


def after(order: Order, values: Sequence[Any]) -> ColumnElement[bool]:
    """Return the condition that a row comes after the one with these order values.

    Raises:
        InvalidInputError: They are no order values of these columns.
    """
    checked(order, values)
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for (column, descending), value in zip(order, values, strict=True):
        if value is None:
            beyond: ColumnElement[bool] = false()
            equal_here = column.is_(None)
        else:
            beyond = column < value if descending else column > value
            beyond = or_(beyond, column.is_(None)) if getattr(column, "nullable", True) else beyond
            equal_here = column == value
        alternatives.append(and_(*equal, beyond))
        equal.append(equal_here)
    (first, falls), least = order[0], values[0]
    if least is None or getattr(first, "nullable", True):
        return or_(*alternatives)
    # Follows from the rest, but only a plain bound lets an index begin where the page does, however deep that is.
    return and_(first <= least if falls else first >= least, or_(*alternatives))


def ordered(statement: Select[Any], order: Order) -> Select[Any]:
    """Return the statement in this order, NULLs last."""
    parts: list[ColumnElement[Any]] = []
    for column, descending in order:
        if getattr(column, "nullable", True):
            parts.append(column.is_(None))
        parts.append(column.desc() if descending else column.asc())
    return statement.order_by(*parts)
