"""Concurrency limit: how many claims and reports, which workers send all day, are answered at the same time.

Threads contend for the GIL: in each SQL statement they release it and take it again several times. Eight at once answer
fewer requests per second than four, which are enough to use it while others wait for a database near by. A request that
has waited 0.1 s runs without a place: where answers take that long, because the database is far or a row is locked, the
GIL is not what is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool

Answer = TypeVar("Answer")

_MAX_WAIT_S: Final = 0.1


class ConcurrencyLimit:
    """Runs work in threads, a few at a time; what has waited too long runs all the same.

    Args:
        n_places: Work that runs at the same time before any has to wait.
        max_wait_s: Longest wait for a place, in seconds; then the work runs without one.
    """

    def __init__(self, n_places: int, *, max_wait_s: float = _MAX_WAIT_S) -> None:
        self._places = asyncio.Semaphore(n_places)
        self._max_wait_s = max_wait_s

    async def run(self, work: Callable[..., Answer], *args: Any) -> Answer:
        """Return what the work returns, and raise what it raises."""
        has_place = await self._acquire()
        try:
            return await run_in_threadpool(work, *args)
        finally:
            if has_place:
                self._places.release()

    async def _acquire(self) -> bool:
        """Return whether a place was taken; False after the longest wait."""
        if not self._places.locked():
            return await self._places.acquire()  # does not wait
        try:
            async with asyncio.timeout(self._max_wait_s):
                return await self._places.acquire()
        except TimeoutError:
            return False
