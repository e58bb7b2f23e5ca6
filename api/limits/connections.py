"""Limits of connections: how many may be open in all and by address, and a timeout for a request's headers (slowloris).

uvicorn has neither. Without them a client that sends nothing can use up the server's file descriptors.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import resource
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.errors.problem_documents import MEDIA_TYPE, ProblemError, document_of
from api.middleware.response_headers import with_security_headers

_log = logging.getLogger("hpsearch.api")

# A request's line and headers must have arrived within this time, counted from the connection or their first byte.
HEADER_TIMEOUT_S: Final = 15.0
_MAX_CONNECTIONS: Final = 8192
# One address may take one in so many of them; a whole laboratory may share it.
_SHARE_OF_ONE: Final = 4
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_WANTED_DESCRIPTORS: Final = 65_536
# For the database, for files, and for child processes, which inherit some.
_RESERVED_DESCRIPTORS: Final = 256


def raise_descriptor_limit() -> None:
    """Raise this process's limit of open files and connections (RLIMIT_NOFILE) to its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # macOS has a lower one that it does not report
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def client_key(address: str) -> str:
    """Return the key under which an address is limited: itself, or the /64 network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


class ConnectionLimit:
    """Limits open connections, in all and for each address.

    Args:
        exempt: Addresses and networks with no limit of their own, such as a proxy's; loopback is among them.
        total: Connections in all; as many as the file descriptors of this process allow when left out.
    """

    def __init__(self, exempt: Iterable[str] = (), total: int | None = None) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        room = _MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - _RESERVED_DESCRIPTORS
        self.total = total if total is not None else max(64, min(room, _MAX_CONNECTIONS))
        self.each = max(1, self.total // _SHARE_OF_ONE)
        self._exempt = [ipaddress.ip_network(network) for network in (*_LOOPBACK, *exempt)]
        self._taken: Counter[str] = Counter()

    @property
    def n_taken(self) -> int:
        """Open connections."""
        return self._taken.total()

    def acquire(self, address: str) -> bool:
        """Take a place, to be given back with `release`; return False when there is none for this address."""
        owner = client_key(address)
        if self.n_taken >= self.total or (self._taken[owner] >= self.each and not self._is_exempt(owner)):
            if not self._taken[owner]:
                del self._taken[owner]
            return False
        self._taken[owner] += 1
        return True

    def _is_exempt(self, owner: str) -> bool:
        try:
            network = ipaddress.ip_network(owner)
        except ValueError:
            return False
        return any(network.version == one.version and one.overlaps(network) for one in self._exempt)

    def release(self, address: str) -> None:
        """Give a place back."""
        owner = client_key(address)
        self._taken[owner] -= 1
        if not self._taken[owner]:
            del self._taken[owner]


class Connection(HttpToolsProtocol):
    """One connection of a client; use `limited` to make a class for a server.

    Attributes:
        limit: Of the server.
    """

    limit: ConnectionLimit

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or refuse the connection."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._head_deadline: asyncio.TimerHandle | None = None
        self._has_place = self.limit.acquire(self._address)
        if not self._has_place:
            _log.warning("a connection of %s was refused: %d are open", self._address, self.limit.n_taken)
            detail = "too many connections are open; close some, or come back later"
            self._answer(ProblemError(503, "limit.connections", detail, headers={"Retry-After": "5"}))
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._stop_awaiting()
        if self._has_place:
            self._has_place = False
            self.limit.release(self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; headers that are not complete have a deadline."""
        super().data_received(data)
        if self._head_deadline is None and getattr(self.cycle, "response_complete", True):
            self._await_head()

    def on_headers_complete(self) -> None:
        """Begin to serve a request."""
        self._stop_awaiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        del msg
        detail = "this is not a request of HTTP/1.1 that can be read: see to its line, headers and lengths"
        self._answer(ProblemError(400, "request.malformed", detail))

    def _await_head(self) -> None:
        self._head_deadline = self.loop.call_later(HEADER_TIMEOUT_S, self._head_is_late)

    def _stop_awaiting(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _head_is_late(self) -> None:
        self._head_deadline = None
        if not self.transport.is_closing():
            detail = f"the headers of the request did not arrive within {HEADER_TIMEOUT_S:.0f} seconds"
            self._answer(ProblemError(408, "request.too_slow", detail))

    def _answer(self, error: ProblemError) -> None:
        """Send a problem document and close, without the application, which has no request yet."""
        body = json.dumps(document_of(error)).encode("ascii")
        headers: list[tuple[bytes, bytes]] = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
        ]
        lines = [name + b": " + value + b"\r\n" for name, value in with_security_headers(headers)]
        self.transport.write(STATUS_LINE[error.status] + b"".join(lines) + b"\r\n" + body)
        self.transport.close()


def limited(limit: ConnectionLimit) -> type[asyncio.Protocol]:
    """Return the protocol of a server with this limit."""
    attributes: dict[str, Any] = {"limit": limit}
    return type("LimitedConnection", (Connection,), attributes)
