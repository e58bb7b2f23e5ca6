"""Middleware for host and body limits: refuses foreign Host headers (DNS rebinding) and bodies that are too large."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problem_documents import ProblemError, problem
from api.request_scope import header, request_id_of

# Largest body of routes that set no other: a thousand times a usual study.
MAX_BODY_BYTES: Final = 2**20
# All bodies in memory together, beyond the first bytes of each, so that small reports of workers always have room.
MAX_HELD_BYTES: Final = 64 * 2**20
_UNCOUNTED_BYTES: Final = 32 * 1024
_METER: Final = "hpsearch.meter"
_HOST: Final = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}))(?::([0-9]{1,5}))?")
_MAX_PORT: Final = 65_535
_LOOPBACK_NAMES: Final = frozenset({b"localhost", b"127.0.0.1", b"[::1]"})


class Held:
    """Bytes of all bodies in memory, beyond the first of each.

    Args:
        most: Bytes in all.
    """

    def __init__(self, most: int = MAX_HELD_BYTES) -> None:
        self.most = most
        self.n_bytes = 0


class Meter:
    """Counts the bytes of one request's body against the cap of its route and the cap of all bodies in memory."""

    def __init__(self, declared: int | None, held: Held) -> None:
        self.cap = MAX_BODY_BYTES
        self._declared = declared
        self._n_bytes = 0
        self._all = held
        self._is_held = False
        self._n_held = 0

    def hold(self) -> None:
        """Count what arrives as held until `release`: it is not written to disk while it comes."""
        self._is_held = True

    def release(self) -> None:
        """Count nothing as held any more."""
        self._all.n_bytes -= self._n_held
        self._n_held = 0

    def allow(self, max_bytes: int | None) -> None:
        """Set the cap of the route; a body announced to be larger is refused at once.

        Raises:
            ProblemError: 413.
        """
        self.cap = MAX_BODY_BYTES if max_bytes is None else max_bytes
        if self._declared is not None and self._declared > self.cap:
            self._refuse()

    def count(self, n_bytes: int) -> None:
        """Count what has arrived.

        Raises:
            ProblemError: 413, more than the cap of the route; 503, bodies in memory are too large together.
        """
        self._n_bytes += n_bytes
        if self._n_bytes > self.cap:
            self._refuse()
        if self._is_held and self._n_bytes > _UNCOUNTED_BYTES:
            more = self._n_bytes - _UNCOUNTED_BYTES - self._n_held
            if self._all.n_bytes + more > self._all.most:
                detail = "the server is receiving too many large bodies at once; repeat the request in a moment"
                raise ProblemError(503, "server.busy", detail, headers={"Retry-After": "5"})
            self._n_held += more
            self._all.n_bytes += more

    def _refuse(self) -> None:
        raise ProblemError(413, "body.too_large", f"the body is larger than the {self.cap:,} bytes allowed here")


def meter_of(scope: Scope) -> Meter:
    """Return the meter of the request's body."""
    return cast("Meter", scope[_METER])


class HostAndBodyLimits:
    """Refuses requests by their Host header, and puts a meter on the body of the others.

    DNS rebinding makes a browser believe that evil.test is 127.0.0.1. So a request over a loopback address must name
    one in its Host header; on other addresses any well-formed name is accepted, unless a list was given.

    Args:
        app: The application.
        allowed_hosts: Further names, without ports; when given, no others are accepted on any address; `*` accepts all.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._held = Held()
        self._listed = frozenset(name.strip().lower().encode("idna") for name in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await problem(refusal, request_id_of(scope))(scope, receive, send)
            return
        meter = scope[_METER] = Meter(_declared_length(scope), self._held)

        async def metered() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                meter.count(len(message.get("body", b"")))
            return message

        try:
            await self._app(scope, metered, send)
        finally:
            meter.release()

    def _refusal(self, scope: Scope) -> ProblemError | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or int(match[2] or 0) > _MAX_PORT:
            return ProblemError(400, "host.malformed", "the request needs exactly one well-formed Host header")
        name = match[1].lower()
        if name in _LOOPBACK_NAMES or b"*" in self._listed or name in self._listed:
            return None
        if self._listed or _came_over_loopback(scope):
            shown = name.decode("ascii")
            detail = f"this server does not answer to the name {shown}; list it in HPSEARCH_ALLOWED_HOSTS if it should"
            return ProblemError(400, "host.unknown", detail)
        return None


def _came_over_loopback(scope: Scope) -> bool:
    """Return whether the connection's own end has a loopback address."""
    server = scope.get("server")
    try:
        return server is not None and ipaddress.ip_address(server[0]).is_loopback
    except ValueError:
        return False


def _declared_length(scope: Scope) -> int | None:
    value = header(scope, b"content-length")
    return int(value) if value is not None and value.isdigit() and len(value) <= 20 else None  # noqa: PLR2004 - of 2**64
