"""Headers, request id and route template, read from an ASGI scope without building a request from it."""

from __future__ import annotations

from typing import Final, cast

from starlette.types import Scope

REQUEST_ID: Final = "hpsearch.request_id"


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of that lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return cast("bytes", value)
    return None


def request_id_of(scope: Scope) -> str | None:
    """Return the id of the request, None before it has one."""
    return cast("str | None", scope.get(REQUEST_ID))


def route_of(scope: Scope) -> str:
    """Return the template of the route that serves the request, free of anything the client chose."""
    return str(getattr(scope.get("route"), "path", "unmatched"))
