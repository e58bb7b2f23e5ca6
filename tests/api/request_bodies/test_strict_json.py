"""Strict JSON: what is read, what is refused, and how quickly."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors.problem_documents import ProblemError
from api.request_bodies.strict_json import MAX_DEPTH, parse

_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(_values)
def test_what_the_standard_writer_writes_is_read(value: object) -> None:
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[1,]", 400),
        (b"nul", 400),
        (b"{'a': 1}", 400),
        (b'{"a": 1} x', 400),
        (b"\xff\xfe{\x00}\x00", 400),
        (b'\xef\xbb\xbf{"a": 1}', 400),
        (b'"\xed\xa0\x80"', 400),  # a lone surrogate in UTF-8 clothes
        (b"NaN", 422),
        (b"[Infinity]", 422),
        (b"[-Infinity]", 422),
        (b"[1e400]", 422),
        (b"[-1e999]", 422),
        (b'{"a": 1, "a": 1}', 422),
        (b'{"a": {"b": 1, "b": 2}}', 422),
        (b"1" * 5_000, 422),
        (b"-" + b"9" * 401, 422),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), 400),
        (b'{"a":' * 100 + b"1" + b"}" * 100, 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b"[" * 100_000, 400),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, bytes) else str(value),
)
def test_refusals_are_quick_and_say_why(body: bytes, status: int) -> None:
    begun = time.perf_counter()
    with pytest.raises(ProblemError) as caught:
        parse(body)
    assert time.perf_counter() - begun < 0.1
    assert caught.value.status == status
    assert len(caught.value.detail) < 200


def test_depth_up_to_the_cap_is_read() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None


def test_the_duplicate_key_is_named() -> None:
    with pytest.raises(ProblemError, match="'name'"):
        parse(b'{"x": 1, "name": 1, "y": 2, "name": 2}')
