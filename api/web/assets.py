"""Static assets of the page, held in memory and addressed by content hash, so that browsers cache them for ever."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.errors.problem_documents import ProblemError
from api.responses import is_current
from api.routing import PUBLIC
from api.web.page_routes import PageRoutes

_FOLDER: Final = Path(__file__).resolve().parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"

routes = PageRoutes("page")


@dataclass(frozen=True)
class Asset:
    """One file of the page.

    Attributes:
        content: As it lies on the disk.
        packed: The same through gzip.
        mark: Changes with the content.
        media_type: What browsers take it for.
    """

    content: bytes
    packed: bytes
    mark: str
    media_type: str


@cache
def _assets() -> dict[str, Asset]:
    """Return all files by name; what a browser asks for is looked up here and never becomes a path."""
    found: dict[str, Asset] = {}
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES and path.is_file():
            content = path.read_bytes()
            mark = hashlib.sha256(content).hexdigest()[:16]
            found[path.name] = Asset(content, gzip.compress(content, 9, mtime=0), mark, _TYPES[path.suffix])
    return found


def address_of(name: str) -> str:
    """Return where a file is served; the address changes with its content.

    Raises:
        KeyError: There is no such file: a template names it wrongly.
    """
    return f"/ui/static/{name}?v={_assets()[name].mark}"


@routes.get("/ui/static/{name}", scope=PUBLIC)
async def page_asset(
    name: str,
    request: Request,
    v: Annotated[str | None, Query(max_length=64, description="Mark of the content.")] = None,
) -> Response:
    """Return a script or style of the page."""
    asset = _assets().get(name)
    if asset is None:
        raise ProblemError(404, "route.not_found", "there is no such file of the page")
    etag = f'"{asset.mark}"'
    headers = {
        "ETag": etag,
        "Cache-Control": _FOR_EVER if v == asset.mark else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if is_current(request, etag):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, media_type=asset.media_type, headers=headers | {"Content-Encoding": "gzip"})
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@routes.get("/favicon.ico", scope=PUBLIC)
async def page_icon() -> Response:
    """Lead browsers that look for an icon at the usual place to ours."""
    return RedirectResponse(address_of("icon.svg"), status_code=308)
