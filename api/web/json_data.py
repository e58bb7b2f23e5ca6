"""JSON data for the charts of a page: compressed, with an LRU cache, ETags and 304."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from api.responses import is_current, not_modified, tagged
from hpsearch.lru_cache import LruCache

_LEVEL: Final = 5
_WORTH_PACKING_BYTES: Final = 1024
_made: LruCache[tuple[str, str], bytes] = LruCache(32)


def data_response(request: Request, make: Callable[[], BaseModel], mark: str | None = None) -> Response:
    """Return data as JSON; 304 without making it when the browser has it already.

    Args:
        request: Says what the browser has and can unpack.
        make: Makes the data.
        mark: Changes with the data; None when they are different every time.
    """
    headers = {"Cache-Control": "no-store"}

    def text() -> bytes:
        return make().model_dump_json().encode()

    if mark is not None:
        etag = f'"{mark}"'
        if is_current(request, etag):
            return not_modified(etag)
        headers = tagged(etag)
    # All viewers of a study request the same data, at the moment it has changed.
    content = text() if mark is None else _made.get((request.url.path, mark), text)
    headers["Vary"] = "Accept-Encoding, Cookie"
    if len(content) >= _WORTH_PACKING_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, _LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type="application/json")
