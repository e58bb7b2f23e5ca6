"""Validity: open streams end within seconds of their token, whichever server process revoked it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from api.streaming.async_waits import drop
from hpsearch.errors import HpsearchError

CHECK_S: Final = 3.0


class _Watch:
    """One token that streams are open for."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.n_streams = 0
        self.task: asyncio.Task[None] | None = None


class Validity:
    """Asks for each token that holds a stream open, once for all its streams, whether it is still valid.

    Args:
        is_valid: Takes a token's public id; what it raises of `HpsearchError` says nothing about the token.
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
            watch.task = asyncio.create_task(self._look(token_id, watch.over))
        try:
            yield watch.over
        finally:
            watch.n_streams -= 1
            if not watch.n_streams:
                if self._watches.get(token_id) is watch:
                    del self._watches[token_id]
                await drop(watch.task)

    async def _look(self, token_id: str, over: asyncio.Event) -> None:
        while not over.is_set():
            await asyncio.sleep(CHECK_S)
            try:
                valid = await self._is_valid(token_id)
            except HpsearchError:
                continue  # the database is away: the stream learns of it by itself
            if not valid:
                self._watches.pop(token_id, None)  # whoever comes now is checked at the door
                over.set()
