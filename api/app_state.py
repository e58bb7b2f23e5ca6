"""Application state: what all requests of one server process share, and the dependencies that give it to routes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, cast

import anyio
import anyio.to_thread
from fastapi import Depends
from starlette.requests import Request

from api.limits.compute_limit import ComputeLimit
from api.limits.concurrency_limit import ConcurrencyLimit
from api.limits.failed_logins import FailedLogins
from api.limits.per_token_limit import PerTokenLimit
from api.limits.report_rate_limit import ReportRateLimit
from api.limits.token_cache import TokenCache
from api.streaming.broadcast import Broadcasts
from api.streaming.token_validity import TokenValidity
from hpsearch.service import tokens
from hpsearch.service.context import Context

# All streams of one study share one poll of the database, so an open stream costs a connection and no more.
MAX_STREAMS: Final = 1024
MAX_STREAMS_PER_TOKEN: Final = 512
MAX_UPLOADS: Final = 4
MAX_UPLOADS_PER_TOKEN: Final = 2
_STREAM_THREADS: Final = 6


class AppState:
    """What all requests of one server process share.

    Attributes:
        context: The opened service.
        closing: Set when the server begins to stop: streams and long polls end at once.
        streams: Limit of open event streams.
        uploads: Limit of data files being received.
        token_cache: Callers of tokens checked a moment ago.
        failed_logins: Rate limit of invalid tokens.
        report_rate_limit: Rate limit of reports on one trial.
        broadcasts: Shared producers of open streams.
        token_validity: Checks the tokens of open streams.
        concurrency_limit: For claims and reports.
        compute_limit: For checking definitions and reading large bodies.
        importances_limit: For parameter importances, which may take long and wait for the sampler.
        stream_threads: The few threads in which open streams query the database, so that they never take all.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.closing = asyncio.Event()
        self.streams = PerTokenLimit("event streams", total=MAX_STREAMS, each=MAX_STREAMS_PER_TOKEN)
        self.broadcasts = Broadcasts()
        self.uploads = PerTokenLimit("uploads", total=MAX_UPLOADS, each=MAX_UPLOADS_PER_TOKEN)
        self.token_cache = TokenCache(context.clock)
        self.failed_logins = FailedLogins()
        self.report_rate_limit = ReportRateLimit()
        self.concurrency_limit = ConcurrencyLimit(context.store.dialect.n_places)
        self.compute_limit = ComputeLimit()
        self.importances_limit = ComputeLimit(1)
        self.stream_threads = anyio.CapacityLimiter(_STREAM_THREADS)
        self.token_validity = TokenValidity(self._is_valid)

    async def _is_valid(self, token_id: str) -> bool:
        return await anyio.to_thread.run_sync(tokens.is_valid, self.context, token_id, limiter=self.stream_threads)


async def app_state_of(request: Request) -> AppState:
    """Return what all requests share."""
    return cast("AppState", request.app.state.shared)


async def context_of(request: Request) -> Context:
    """Return the opened service."""
    return cast("AppState", request.app.state.shared).context


Shared = Annotated[AppState, Depends(app_state_of)]
Service = Annotated[Context, Depends(context_of)]
