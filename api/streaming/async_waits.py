"""Async waits: for the first of several tasks, or for the client's disconnection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import Receive


@asynccontextmanager
async def departure(receive: Receive) -> AsyncIterator[asyncio.Event]:
    """Give an event that is set as soon as the client hangs up; to be used once the body has been read."""
    gone = asyncio.Event()

    async def listen() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    listener = asyncio.create_task(listen())
    try:
        yield gone
    finally:
        await drop(listener)


async def first_of(*waits: asyncio.Task[Any] | Coroutine[Any, Any, Any]) -> None:
    """Return as soon as one of them is done; the others are cancelled."""
    tasks = [wait if isinstance(wait, asyncio.Task) else asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await drop(*tasks)


async def started(wait: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Return a task that has begun to wait already, so that it misses nothing while its caller does something else."""
    task = asyncio.create_task(wait)
    await asyncio.sleep(0)
    return task


async def drop(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait until they have ended; their exceptions are dropped."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
