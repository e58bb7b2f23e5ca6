"""Responses: models as JSON, files as attachments, ETags and 304 for what has not changed."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from hpsearch.service.datasets import StoredFile

_NOT_MODIFIED: Final = 304
_OK: Final = 200


def json_response(model: BaseModel, status: int = _OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return the model as JSON."""
    return Response(
        model.model_dump_json().encode(), status_code=status, headers=headers, media_type="application/json"
    )


def no_content() -> Response:
    """Return an answer without content."""
    return Response(status_code=204)


def is_current(request: Request, etag: str) -> bool:
    """Return whether the client's `If-None-Match` has this ETag (RFC 9110, section 13.1.2)."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    return any(tag.strip().removeprefix("W/") in ("*", etag) for tag in given.split(","))


def not_modified(etag: str) -> Response:
    """Return a 304 response."""
    return Response(status_code=_NOT_MODIFIED, headers=tagged(etag))


def tagged(etag: str) -> dict[str, str]:
    """Return the headers of a response that may be cached, and must be revalidated by its ETag."""
    return {"ETag": etag, "Cache-Control": "private, no-cache"}


class _WholeFile(FileResponse):
    """A file sent whole: range requests are not supported, so they can not be abused."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        headers = [(name, value) for name, value in scope["headers"] if name not in (b"range", b"if-range")]
        await super().__call__({**scope, "headers": headers}, receive, send)


def file_response(request: Request, stored: StoredFile) -> Response:
    """Return the file as an attachment of plain bytes, with its SHA-256; 304 when the client has it."""
    etag = f'"{stored.digest}"'
    if is_current(request, etag):
        return not_modified(etag)
    digest = base64.b64encode(bytes.fromhex(stored.digest)).decode()
    headers = tagged(etag) | {
        "Content-Digest": f"sha-256=:{digest}:",
        "X-Content-SHA256": stored.digest,
        "Accept-Ranges": "none",
    }
    path = Path(stored.path)
    return _WholeFile(
        path, headers=headers, media_type="application/octet-stream", filename=stored.filename, stat_result=path.stat()
    )
