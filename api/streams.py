"""Event streams (Server-Sent Events): sent while the client reads, ended when it leaves or the server stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, aclosing
from typing import Any, Final

import anyio.to_thread
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.edge import Edge
from api.waiting import departure, drop, first_of, started
from hpsearch.errors import HpsearchError
from hpsearch.service import events, results
from hpsearch.wire.pages import Event

_log = logging.getLogger("hpsearch.api")

# Other server processes' news are seen by looking; ours wake the stream at once.
_LOOK_S: Final = 2.0
# News that come in quick succession travel together.
_PACE_S: Final = 0.05
_LEADERBOARD_PACE_S: Final = 0.5
_KEEPALIVE_S: Final = 15.0
# A reader that takes nothing for so long is dropped.
_WRITE_TIMEOUT_S: Final = 20.0
_BATCH: Final = 200

Frames = AsyncGenerator[bytes, None]


class EventStream(Response):
    """An endless answer.

    Args:
        frames: Makes the frames, given an event that is set when the client has left.
        slot: Held while the stream is open.
    """

    media_type = "text/event-stream"

    def __init__(self, frames: Callable[[asyncio.Event], Frames], slot: AbstractContextManager[None]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._slot = slot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - of ASGI
        """Send frames until there are no more."""
        with self._slot:
            async with departure(receive) as gone, aclosing(self._frames(gone)) as frames:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for frame in frames:
                    if gone.is_set():
                        return
                    try:
                        async with asyncio.timeout(_WRITE_TIMEOUT_S):
                            await send({"type": "http.response.body", "body": frame, "more_body": True})
                    except TimeoutError:
                        _log.warning(
                            "an event stream was dropped: its reader took nothing for %.0f s", _WRITE_TIMEOUT_S
                        )
                        return
                if not gone.is_set():
                    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def look(edge: Edge, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a service answers, asked in one of the few threads that all streams share."""

    def call() -> Any:
        return function(edge.context, *args, **kwargs)

    return await anyio.to_thread.run_sync(call, limiter=edge.stream_threads)


def event_frame(event: Event) -> bytes:
    """Return one event as it travels: `id`, `event` (its kind) and `data` (the event as JSON)."""
    return format_sse_event(data_str=event.model_dump_json(), event=event.kind, id=event.event_id)


async def event_frames(edge: Edge, study_id: str, after: str | None, gone: asyncio.Event) -> Frames:
    """Yield the frames of a study's events after a position, then wait for more."""
    signals = edge.context.signals
    yield format_sse_event(comment="open", retry=2000)
    idle_since_s = asyncio.get_running_loop().time()
    while not (gone.is_set() or edge.closing.is_set()):
        change = await started(signals.wait_for_change(study_id, _LOOK_S))
        try:
            batch: list[Event] = await look(edge, events.since, study_id, after=after, limit=_BATCH)
            if batch:
                after = batch[-1].event_id
                yield b"".join(map(event_frame, batch))
                idle_since_s = asyncio.get_running_loop().time()
                continue
            await first_of(change, gone.wait(), edge.closing.wait())
        except HpsearchError:
            return  # deleted, or the database is away: the client comes back with its last id and is told
        finally:
            await drop(change)
        if asyncio.get_running_loop().time() - idle_since_s >= _KEEPALIVE_S:
            yield KEEPALIVE_COMMENT
            idle_since_s = asyncio.get_running_loop().time()
        await asyncio.sleep(_PACE_S)


async def leaderboard_frames(edge: Edge, study_id: str, limit: int, seen: str | None, gone: asyncio.Event) -> Frames:
    """Yield the first page of a leaderboard, again whenever it changes; the id of a frame is the page's tag."""
    signals = edge.context.signals
    yield format_sse_event(comment="open", retry=2000)
    idle_since_s = asyncio.get_running_loop().time()
    while not (gone.is_set() or edge.closing.is_set()):
        change = await started(signals.wait_for_change(study_id, _LOOK_S))
        try:
            tag = str(await look(edge, results.leaderboard_etag, study_id))
            if tag != seen:
                page = await look(edge, results.leaderboard, study_id, limit=limit)
                seen = tag
                yield format_sse_event(data_str=page.model_dump_json(), event="leaderboard", id=tag)
                idle_since_s = asyncio.get_running_loop().time()
            await first_of(change, gone.wait(), edge.closing.wait())
        except HpsearchError:
            return
        finally:
            await drop(change)
        if asyncio.get_running_loop().time() - idle_since_s >= _KEEPALIVE_S:
            yield KEEPALIVE_COMMENT
            idle_since_s = asyncio.get_running_loop().time()
        await first_of(asyncio.sleep(_LEADERBOARD_PACE_S), edge.closing.wait())
