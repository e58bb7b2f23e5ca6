"""Envelope: what every answer carries, an id to be found in the log and the headers that keep browsers honest."""

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


def sealed_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return an answer's headers and those that every answer carries.

    Args:
        headers: With lower-case names; a policy or a rule for caches among them stays.
    """
    sealed = list(headers)
    names = {name for name, _ in sealed}
    return sealed + _ALWAYS + [added for added in (_DEFAULT_POLICY, _NO_STORE) if added[0] not in names]


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
                headers = sealed_headers(message.get("headers", ()))
                message = {**message, "headers": [*headers, (b"x-request-id", request_id)]}
            await send(message)

        await self._app(scope, receive, sealed)
