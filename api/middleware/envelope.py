"""Envelope: what every answer carries, an id to be found in the log and the headers that keep browsers honest."""

from __future__ import annotations

import re
import secrets
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware.scope import REQUEST_ID, header

_GIVEN_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_DEFAULT_POLICY: Final = (b"content-security-policy", b"default-src 'self'; frame-ancestors 'none'; base-uri 'none'")
_ALWAYS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NO_STORE: Final = (b"cache-control", b"no-store")


class Envelope:
    """Adds `X-Request-ID` and the security headers to every answer."""

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

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                names = {name for name, _ in headers}
                headers += _ALWAYS
                headers.append((b"x-request-id", request_id))
                headers += [added for added in (_DEFAULT_POLICY, _NO_STORE) if added[0] not in names]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, sealed)
