"""Turnstile: how many of the requests that workers send all day are answered side by side.

The threads of one interpreter hand it to each other several times in each statement. Eight that do so answer fewer
requests than four, which are enough to keep it busy while others wait for the database near by. Whoever has waited a
moment goes in all the same: where answers take long, because the database is far or a row is held, it is not the
interpreter that is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool

Answer = TypeVar("Answer")

_PATIENCE_S: Final = 0.1


class Turnstile:
    """Runs work in threads, a few at a time.

    Args:
        n_places: Work that runs side by side before any has to wait.
        patience_s: Longest wait, in seconds.
    """

    def __init__(self, n_places: int, *, patience_s: float = _PATIENCE_S) -> None:
        self._places = asyncio.Semaphore(n_places)
        self._patience_s = patience_s

    async def run(self, work: Callable[..., Answer], *args: Any) -> Answer:
        """Return what the work returns, and raise what it raises."""
        has_place = await self._enter()
        try:
            return await run_in_threadpool(work, *args)
        finally:
            if has_place:
                self._places.release()

    async def _enter(self) -> bool:
        """Return whether a place was taken; without one the patience is over."""
        if not self._places.locked():
            return await self._places.acquire()  # does not wait
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._places.acquire()
        except TimeoutError:
            return False
