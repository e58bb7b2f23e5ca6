"""Strict JSON parser: refuses NaN, duplicate keys, too many values and too deep nesting."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, NoReturn

from api.errors.problem_documents import ProblemError

MAX_DEPTH: Final = 64
# Values in one body: what is counted here need not be found out by checking each of them.
MAX_VALUES: Final = 150_000
_MAX_FIELDS: Final = 256
_MAX_DIGITS: Final = 400


_BRACKET: Final = re.compile(rb"[\[\]{}]")
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class _RefusedError(ValueError):
    """JSON that this service does not take, with its reason."""


def parse(body: bytes) -> Any:
    """Return the value of a JSON text: dicts, lists, strings, finite numbers, booleans and None.

    Raises:
        ProblemError: 400 for text that is not JSON or not UTF-8 or nested deeper than 64; 413 for more than 150,000
            values; 422 for NaN, Infinity, numbers outside the range of a double, huge integers, keys given twice and
            objects of more than 256 fields.
    """
    if _separators(body) > MAX_VALUES:
        _check_number(_STRING.sub(b"", body))
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProblemError(400, "body.not_utf8", f"the body is not UTF-8: byte {error.start} can not be read") from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ProblemError(400, "body.not_json", f"the body is not JSON: {_reason(error)} at {where}") from None
    except _RefusedError as error:
        raise ProblemError(422, "body.refused", str(error)) from None
    except RecursionError:
        _too_deep()
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(value)
    return value


def _separators(text: bytes) -> int:
    """Return how many commas and opening brackets there are: at most one value stands behind each."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def _check_number(bare: bytes) -> None:
    """Refuse a text with more values than are read.

    Args:
        bare: Without the texts in it, which may hold commas.
    """
    if _separators(bare) <= MAX_VALUES:
        return
    depth = 0
    for bracket in islice(_BRACKET.finditer(bare), MAX_VALUES):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            _too_deep()
    detail = f"the body holds more than {MAX_VALUES:,} values; send less at once"
    raise ProblemError(413, "body.too_many_values", detail)


def _too_deep() -> NoReturn:
    raise ProblemError(400, "body.too_deep", f"the body is nested deeper than {MAX_DEPTH} levels") from None


def _reason(error: json.JSONDecodeError) -> str:
    return error.msg[:1].lower() + error.msg[1:]


def _check_depth(value: Any) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for container in level:
            items: Iterable[Any] = container.values() if isinstance(container, dict) else container
            inner.extend(item for item in items if isinstance(item, dict | list))
        if not inner:
            return
        level = inner
    _too_deep()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MAX_FIELDS:
        msg = f"an object of {len(pairs):,} fields was received; at most {_MAX_FIELDS} are read"
        raise _RefusedError(msg)
    made = dict(pairs)
    if len(made) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        msg = f"the key {twice[:80]!r} was received twice in one object"
        raise _RefusedError(msg)
    return made


def _constant(name: str) -> NoReturn:
    msg = f"{name} is not a number JSON knows; send a finite number or null"
    raise _RefusedError(msg)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        msg = f"{text[:40]} is outside the range of a 64-bit number"
        raise _RefusedError(msg)
    return number


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        msg = f"a number of {len(text)} digits was received; at most {_MAX_DIGITS} are read"
        raise _RefusedError(msg)
    return int(text)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
)
