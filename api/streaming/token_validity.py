"""Token validity: an open stream ends within seconds of its token's expiry, or revocation by any server process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from api.streaming.async_waits import drop
from hpsearch.errors import HpsearchError

CHECK_S: Final = 3.0


class _Watch:
    """One token with open streams."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.n_streams = 0
        self.task: asyncio.Task[None] | None = None


class TokenValidity:
    """Polls whether tokens of open streams are still valid, once for all streams of a token.

    Args:
        is_valid: Takes a token's public id; an `HpsearchError` it raises leaves the streams open.
    """

    def __init__(self, is_valid: Callable[[str], Awaitable[bool]]) -> None:
        self._is_valid = is_valid
        self._watches: dict[str, _Watch] = {}

    @asynccontextmanager
    async def watched(self, token_id: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set soon after the token was revoked or has expired."""
        watch = self._watches.setdefault(token_id, _Watch())
        watch.n_streams += 1
        if watch.task is None:
            watch.task = asyncio.create_task(self._poll(token_id, watch.over))
        try:
            yield watch.over
        finally:
            watch.n_streams -= 1
            if not watch.n_streams:
                if self._watches.get(token_id) is watch:
                    del self._watches[token_id]
                await drop(watch.task)

    async def _poll(self, token_id: str, over: asyncio.Event) -> None:
        while not over.is_set():
            await asyncio.sleep(CHECK_S)
            try:
                valid = await self._is_valid(token_id)
            except HpsearchError:
                continue  # the database is away, which the stream finds out by itself
            if not valid:
                self._watches.pop(token_id, None)  # new streams of this token are refused before they open
                over.set()
