"""Problem documents (RFC 9457): how every error of the API reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, cast

from pydantic import BaseModel, Field
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
_MAX_TEXT: Final = 2_000
# Python's own phrases for these changed between versions (RFC 9110 renamed them).
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}
_MAX_DEPTH: Final = 8


class FieldProblem(BaseModel):
    """One thing wrong with one field of the request."""

    field: str = Field(description="Dotted path such as `space.units.low`; empty for the whole body.")
    message: str = Field(description="One sentence.")


class ProblemDocument(BaseModel):
    """What every error answers, as `application/problem+json`."""

    type: str = Field(description="`urn:hpsearch:problem:` and the code.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="One sentence: what was received, what was expected, what to do.")
    code: str = Field(description="Stable and dotted, for programs: `trial.stale_attempt`.")
    errors: list[FieldProblem] = Field(
        default=[], description="Field by field, when the request's content is at fault."
    )
    request_id: str | None = Field(
        default=None, description="The `X-Request-ID` of this answer, to be found in the log."
    )


class ProblemError(Exception):
    """An error that the HTTP server itself finds: a malformed body, a missing header, too large an upload.

    Args:
        status: HTTP status, 400 to 599.
        code: Stable, dotted identifier.
        detail: One sentence for the user.
        errors: Field by field, as `{"field", "message"}`.
        headers: Sent along, such as `Retry-After`.
        extra: Further members of the document.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def clean_text(text: str) -> str:
    """Return the text without what JSON readers or terminals choke on, cut to 2,000 characters."""
    cut = text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
    return cut.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


def clean(value: object, depth: int = 0) -> object:
    """Return a value that strict JSON can hold: not-finite numbers become null, odd objects their text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return clean_text(value)
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return {clean_text(str(key)): clean(item, depth + 1) for key, item in value.items()}
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        return [clean(item, depth + 1) for item in value]
    return clean_text(type(value).__name__)


def document_of(error: ProblemError, request_id: str | None = None) -> dict[str, object]:
    """Return an error as a document that strict JSON can hold."""
    document: dict[str, object] = {
        "type": f"urn:hpsearch:problem:{error.code}",
        "title": _title(error.status),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
    if error.errors:
        document["errors"] = [dict(item) for item in error.errors]
    if request_id:
        document["request_id"] = request_id
    for name, value in error.extra.items():
        document.setdefault(name, value)
    return cast("dict[str, object]", clean(document))


def problem(error: ProblemError, request_id: str | None = None) -> Response:
    """Return the answer for an error."""
    document = document_of(error, request_id)
    content = json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii")
    return Response(content, status_code=error.status, headers=error.headers, media_type=MEDIA_TYPE)


def _title(status: int) -> str:
    if status in _TITLES:
        return _TITLES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
