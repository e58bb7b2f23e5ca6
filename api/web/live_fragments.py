"""Live parts of pages: rendered once for all who look at the same, sent to each when they change."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import aclosing, suppress
from typing import Any, Final, NamedTuple

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Edge, edge_of
from api.event_streams import Ends, EventStream, Frames, look
from api.guard import caller_of
from api.streaming.async_waits import drop, started
from api.streaming.broadcast import Broadcast
from hpsearch.errors import HpsearchError
from hpsearch.service.context import Context

# Changes made by other server processes are seen by looking; ours wake a part at once.
_LOOK_S: Final = 1.0
# Changes in quick succession travel together.
_PACE_S: Final = 0.3
_IDLE_S: Final = 15.0

Make = Callable[[Context], str]
Wait = Callable[[float], Awaitable[Any]]


class Rendered(NamedTuple):
    """A part as it travels, and the mark of its content."""

    mark: str
    frame: bytes


async def live_stream(request: Request, key: Hashable, make: Make, wait: Wait | None = None) -> Response:
    """Return an endless answer: a part's HTML now, and again whenever it has changed.

    Args:
        request: Of somebody signed in; the stream ends when their token does.
        key: What the part shows and for which rights; streams with one key share one rendering.
        make: Renders the part, in a thread.
        wait: Takes a time in seconds and returns early when something may have changed; any study when left out.

    Raises:
        ProblemError: 429, too many streams are open.
    """
    edge, caller = await edge_of(request), await caller_of(request)
    wait = wait or edge.context.signals.wait_for_any_change

    def produce(broadcast: Broadcast[Rendered]) -> AsyncGenerator[Rendered, None]:
        return _renderings(edge, make, wait, broadcast)

    return EventStream(edge, caller, lambda ends: _frames(request, edge, ("page", key), produce, ends))


async def _frames(
    request: Request,
    edge: Edge,
    key: Hashable,
    produce: Callable[[Broadcast[Rendered]], AsyncGenerator[Rendered, None]],
    ends: Ends,
) -> Frames:
    yield format_sse_event(comment="open", retry=1000)
    seen = request.headers.get("last-event-id")
    with edge.broadcasts.joined(key, produce) as link:
        async with aclosing(link.onwards(*ends, idle_s=_IDLE_S)) as news:
            async for rendered in news:
                if rendered is None:
                    yield KEEPALIVE_COMMENT
                elif rendered.mark != seen:
                    seen = rendered.mark
                    yield rendered.frame


async def _renderings(
    edge: Edge, make: Make, wait: Wait, broadcast: Broadcast[Rendered]
) -> AsyncGenerator[Rendered, None]:
    """Yield a part, and again whenever it has changed; ends when it can not be rendered any more."""
    told: str | None = None

    async def change() -> None:
        await wait(_LOOK_S)

    # Deleted, or the database is away: every stream ends, and its browser comes back and is told.
    with suppress(HpsearchError):
        while True:
            waiting = await started(change())
            try:
                text = await _look(edge, make)
                mark = hashlib.sha256(text.encode()).hexdigest()[:16]
                if mark != told:
                    told = mark
                    yield Rendered(mark, format_sse_event(data_str=text, id=mark))
                await waiting
            finally:
                await drop(waiting)
            await asyncio.sleep(broadcast.pace_s(_PACE_S))


async def _look(edge: Edge, make: Make) -> str:
    text: str = await look(edge, make)
    return text
