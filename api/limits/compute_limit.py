"""Compute limit: requests that hold the GIL for long are answered two at a time, so that all others stay quick.

CPython hands the GIL from thread to thread every five milliseconds. Beside two threads that compute, a health check
waits for some such turns; beside forty, the size of the thread pool, for seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool

from api.errors.problem_documents import ProblemError

Answer = TypeVar("Answer")

_N_PLACES: Final = 2
# One request computes for a second at most.
_MAX_WAIT_S: Final = 30.0


class ComputeLimit:
    """Runs work in threads, a few at a time; what waits holds no thread.

    Args:
        n_places: Work that runs at the same time.
        max_wait_s: Longest wait for a place, in seconds; then the work is refused.
    """

    def __init__(self, n_places: int = _N_PLACES, *, max_wait_s: float = _MAX_WAIT_S) -> None:
        self._places = asyncio.Semaphore(n_places)
        self._max_wait_s = max_wait_s

    async def run(self, work: Callable[..., Answer], *args: Any, **options: Any) -> Answer:
        """Return what the work returns, and raise what it raises.

        Raises:
            ProblemError: 503, all places were taken for too long; the work was not begun.
        """
        try:
            async with asyncio.timeout(self._max_wait_s):
                await self._places.acquire()
        except TimeoutError:
            detail = "the server is busy computing for others; repeat the request in a moment"
            raise ProblemError(503, "server.busy", detail, headers={"Retry-After": "5"}) from None
        try:
            return await run_in_threadpool(work, *args, **options)
        finally:
            self._places.release()
