"""Middleware for the headers of every response: `X-Request-ID` and security headers, such as a CSP."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.request_scope import REQUEST_ID, header

_GIVEN_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_DEFAULT_POLICY: Final = (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'")
_ALWAYS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_STORE: Final = (b"cache-control", b"no-store")


def with_security_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return a response's headers with the security headers added.

    Args:
        headers: With lower-case names; a Content-Security-Policy or Cache-Control among them stays.
    """
    given = list(headers)
    names = {name for name, _ in given}
    return given + _ALWAYS + [added for added in (_DEFAULT_POLICY, _NO_STORE) if added[0] not in names]


class ResponseHeaders:
    """Adds `X-Request-ID` and the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id")
        request_id = given if given is not None and _GIVEN_ID.fullmatch(given) else secrets.token_hex(8).encode()
        scope[REQUEST_ID] = request_id.decode("ascii")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = with_security_headers(message.get("headers", ()))
                message = {**message, "headers": [*headers, (b"x-request-id", request_id)]}
            await send(message)

        await self._app(scope, receive, with_headers)
