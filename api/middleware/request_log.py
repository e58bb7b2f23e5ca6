"""Middleware for metrics and the access log: counts and times every response."""

from __future__ import annotations

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.request_scope import request_id_of, route_of

_access = structlog.stdlib.get_logger("hpsearch.api.access")


class RequestLog:
    """Counts responses; with ``access_log`` also writes a line for each, without query strings or headers.

    Args:
        app: The application.
        metrics: Counters and histograms.
        access_log: Whether to write lines.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, *, access_log: bool = False) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()
        status = 0
        first_byte_s = 0.0

        async def watched(message: Message) -> None:
            nonlocal status, first_byte_s
            if message["type"] == "http.response.start":
                status, first_byte_s = message["status"], time.perf_counter() - started_s
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if status:
                self._metrics.observe(scope["method"], route_of(scope), status, first_byte_s)
            if self._access_log:
                self._write(scope, status, time.perf_counter() - started_s)

    def _write(self, scope: Scope, status: int, duration_s: float) -> None:
        client = scope.get("client")
        _access.info(
            "request",
            method=scope["method"],
            # ascii() escapes line ends and terminal codes, for any renderer of the log.
            path=ascii(scope["path"][:500])[1:-1],
            route=route_of(scope),
            status=status,
            duration_ms=round(duration_s * 1000, 2),
            peer=client[0] if client else None,
            request_id=request_id_of(scope),
        )
