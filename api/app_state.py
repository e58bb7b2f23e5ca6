"""Edge: what all requests of one server process share."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, cast

import anyio
import anyio.to_thread
from fastapi import Depends
from starlette.requests import Request

from api.errors.problem_documents import ProblemError
from api.limits.compute_limit import Computing
from api.limits.concurrency_limit import Turnstile
from api.limits.failed_logins import Intruders
from api.limits.report_rate_limit import Pace
from api.limits.token_cache import Callers
from api.streaming.broadcast import Broadcasts
from api.streaming.token_validity import Validity
from hpsearch.service import tokens
from hpsearch.service.context import Context

# All that follow the same study share one look at the database, so an open stream costs a connection and no more.
MAX_STREAMS: Final = 1024
MAX_STREAMS_PER_TOKEN: Final = 512
MAX_UPLOADS: Final = 4
MAX_UPLOADS_PER_TOKEN: Final = 2
_STREAM_THREADS: Final = 6


class Slots:
    """A number of places, for all callers together and for each.

    Args:
        what: Named in the error, plural.
        total: Places in all.
        each: Places one caller may take.
    """

    def __init__(self, what: str, *, total: int, each: int) -> None:
        self._what, self._total, self._each = what, total, each
        self._taken: Counter[str] = Counter()

    @property
    def n_taken(self) -> int:
        """Places in use."""
        return self._taken.total()

    @contextmanager
    def one(self, owner: str) -> Iterator[None]:
        """Hold a place for the body.

        Raises:
            ProblemError: 429, all places are taken.
        """
        if self.n_taken >= self._total or self._taken[owner] >= self._each:
            detail = f"too many open {self._what}: at most {self._each} for one token and {self._total} in all"
            raise ProblemError(429, "limit.reached", detail, headers={"Retry-After": "5"})
        self._taken[owner] += 1
        try:
            yield
        finally:
            self._taken[owner] -= 1
            self._taken += Counter()  # drops the owners without any


class Edge:
    """What all requests of one server process share.

    Attributes:
        context: The opened service.
        closing: Set when the server begins to stop: streams and long polls end at once.
        streams: Places for event streams.
        uploads: Places for data files being received.
        callers: Who sent good tokens a moment ago.
        intruders: Who sent wrong tokens lately.
        pace: How often trials are reported on.
        broadcasts: What open streams share.
        validity: Whose tokens open streams hold.
        turnstile: Where claims and reports go through.
        computing: Where definitions are checked and large bodies read.
        charting: Where importances are computed, which may take long and wait for the sampler.
        stream_threads: The few threads in which open streams ask the database, so that they never take all.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.closing = asyncio.Event()
        self.streams = Slots("event streams", total=MAX_STREAMS, each=MAX_STREAMS_PER_TOKEN)
        self.broadcasts = Broadcasts()
        self.uploads = Slots("uploads", total=MAX_UPLOADS, each=MAX_UPLOADS_PER_TOKEN)
        self.callers = Callers(context.clock)
        self.intruders = Intruders()
        self.pace = Pace()
        self.turnstile = Turnstile(context.store.dialect.n_places)
        self.computing = Computing()
        self.charting = Computing(1)
        self.stream_threads = anyio.CapacityLimiter(_STREAM_THREADS)
        self.validity = Validity(self._is_valid)

    async def _is_valid(self, token_id: str) -> bool:
        return await anyio.to_thread.run_sync(tokens.is_valid, self.context, token_id, limiter=self.stream_threads)


async def edge_of(request: Request) -> Edge:
    """Return what all requests share."""
    return cast("Edge", request.app.state.edge)


async def context_of(request: Request) -> Context:
    """Return the opened service."""
    return cast("Edge", request.app.state.edge).context


Shared = Annotated[Edge, Depends(edge_of)]
Service = Annotated[Context, Depends(context_of)]
