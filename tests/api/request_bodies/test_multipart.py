"""Multipart forms: taken in any cut, capped in every part."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.errors.problem_documents import ProblemError
from api.request_bodies.multipart import UploadForm

_BOUNDARY = b"frontier"
_FIELDS = frozenset({"name", "target"})


def _part(name: str, content: bytes, filename: str | None = None, extra: bytes = b"") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"'.encode()
    if filename is not None:
        disposition += f'; filename="{filename}"'.encode()
    return b"--" + _BOUNDARY + b"\r\n" + disposition + b"\r\n" + extra + b"\r\n" + content + b"\r\n"


_END = b"--" + _BOUNDARY + b"--\r\n"


def _receive(path: Path, body: bytes, cuts: list[int] | None = None) -> UploadForm:
    form = UploadForm(_BOUNDARY, path, _FIELDS)
    try:
        edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts or []), len(body)]
        for start, end in pairwise(edges):
            form.feed(body[start:end])
        form.finish()
    finally:
        form.close()
    return form


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(st.sampled_from([b"\r\n--frontier", b"\r\n", b"--", b"-", b"x", b"\r", b"\x00", b"frontier"])).map(
        b"".join
    ),
    cuts=st.lists(st.integers(0, 10_000), max_size=6),
)
def test_any_content_in_any_cut_arrives_unchanged(tmp_path: Path, content: bytes, cuts: list[int]) -> None:
    if b"\r\n--frontier" in b"\r\n" + content:
        content = content.replace(b"--frontier", b"--frontie")
    path = tmp_path / "file"
    path.unlink(missing_ok=True)
    body = _part("name", "jäger".encode()) + _part("file", content, "../../etc/passwd") + _part("target", b"y") + _END
    form = _receive(path, body, cuts)
    assert path.read_bytes() == content
    assert form.texts == {"name": "jäger", "target": "y"}
    assert form.filename == "../../etc/passwd"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (_END, 422),
        (_part("name", b"x") + _END, 422),
        (_part("file", b"x", "a.csv"), 400),
        (_part("file", b"x", "a.csv")[:-10], 400),
        (_part("file", b"x", "a") + _part("file", b"y", "b") + _END, 422),
        (_part("file", b"x", "a") + _part("name", b"y") + _part("name", b"z") + _END, 422),
        (_part("file", b"x", "a") + _part("owner", b"me") + _END, 422),
        (_part("file", b"x", "a") + _part("name", b"\xff") + _END, 422),
        (_part("file", b"x", "a") + _part("name", b"n" * 5_000) + _END, 413),
        (b"".join(_part(f"x{i}", b"") for i in range(100_000)), 422),
        (_part("name", b"x", extra=b"X-Long: " + b"a" * 10_000 + b"\r\n") + _END, 400),
        (_part("name", b"x", extra=b"X: 1\r\n" * 50) + _END, 400),
        (b"--frontier\r\nContent-Type: text/plain\r\n\r\nx\r\n" + _END, 400),
        (b"--frontier\r\nContent-Disposition: attachment; name=file\r\n\r\nx\r\n" + _END, 400),
        (b"no boundary at all", 400),
        (b"\x00" * 1_000, 400),
    ],
)
def test_malformed_forms(tmp_path: Path, body: bytes, status: int) -> None:
    with pytest.raises(ProblemError) as caught:
        _receive(tmp_path / "file", body)
    assert caught.value.status == status


def test_many_parts_are_too_many(tmp_path: Path) -> None:
    form = UploadForm(_BOUNDARY, tmp_path / "file", frozenset(f"x{i}" for i in range(20)))
    body = b"".join(_part(f"x{i}", b"") for i in range(20))
    with pytest.raises(ProblemError) as caught:
        form.feed(body)
    assert caught.value.status == 413
