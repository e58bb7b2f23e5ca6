"""Computing: requests that keep the interpreter busy are answered two at a time, so that all others stay quick.

Threads of one interpreter take turns of five milliseconds. Beside two that compute, whoever only wants to know whether
the server is well waits for some such turns; beside forty, the size of the pool, for seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool

from api.errors.problem_documents import ProblemError

Answer = TypeVar("Answer")

_N_PLACES: Final = 2
# What is asked for here takes a second at most.
_PATIENCE_S: Final = 30.0


class Computing:
    """Runs work in threads, a few at a time; those that wait hold no thread.

    Args:
        n_places: Work that runs side by side.
        patience_s: Longest wait, in seconds.
    """

    def __init__(self, n_places: int = _N_PLACES, *, patience_s: float = _PATIENCE_S) -> None:
        self._places = asyncio.Semaphore(n_places)
        self._patience_s = patience_s

    async def run(self, work: Callable[..., Answer], *args: Any, **options: Any) -> Answer:
        """Return what the work returns, and raise what it raises.

        Raises:
            ProblemError: 503, others took all places for too long; the work was not begun.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                await self._places.acquire()
        except TimeoutError:
            detail = "the server is busy computing for others; repeat the request in a moment"
            raise ProblemError(503, "server.busy", detail, headers={"Retry-After": "5"}) from None
        try:
            return await run_in_threadpool(work, *args, **options)
        finally:
            self._places.release()
