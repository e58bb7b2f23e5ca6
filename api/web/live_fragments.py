"""Live fragments of pages (htmx over server-sent events): rendered once for all viewers, sent to each on change."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from contextlib import aclosing, suppress
from typing import Any, Final, NamedTuple

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import AppState, app_state_of
from api.event_streams import Ends, EventStream, Frames, query
from api.guard import caller_of
from api.streaming.async_waits import drop, started
from api.streaming.broadcast import Broadcast
from hpsearch.errors import HpsearchError
from hpsearch.service.context import Context

# Changes made by other server processes are found by polling; ours wake the stream at once.
_POLL_S: Final = 1.0
# Changes in quick succession are sent together.
_INTERVAL_S: Final = 0.3
_IDLE_S: Final = 15.0

Make = Callable[[Context], str]
Wait = Callable[[float], Awaitable[Any]]


class Rendered(NamedTuple):
    """A fragment as it is sent, and a mark that changes with its content."""

    mark: str
    frame: bytes


async def live_stream(request: Request, key: Hashable, make: Make, wait: Wait | None = None) -> Response:
    """Return an event stream: a fragment's HTML now, and again whenever it has changed.

    Args:
        request: Of a signed-in user; the stream ends when their token does.
        key: What the fragment shows and for which rights; streams with one key share one rendering.
        make: Renders the fragment, in a thread.
        wait: Takes a time in seconds and returns early when something may have changed; any study when left out.

    Raises:
        ProblemError: 429, too many streams are open.
    """
    state, caller = await app_state_of(request), await caller_of(request)
    wait = wait or state.context.signals.wait_for_any_change

    def produce(broadcast: Broadcast[Rendered]) -> AsyncGenerator[Rendered, None]:
        return _renderings(state, make, wait, broadcast)

    return EventStream(state, caller, lambda ends: _frames(request, state, ("page", key), produce, ends))


async def _frames(
    request: Request,
    state: AppState,
    key: Hashable,
    produce: Callable[[Broadcast[Rendered]], AsyncGenerator[Rendered, None]],
    ends: Ends,
) -> Frames:
    yield format_sse_event(comment="open", retry=1000)
    seen = request.headers.get("last-event-id")
    with state.broadcasts.subscribed(key, produce) as node:
        async with aclosing(node.items(*ends, idle_s=_IDLE_S)) as renderings:
            async for rendered in renderings:
                if rendered is None:
                    yield KEEPALIVE_COMMENT
                elif rendered.mark != seen:
                    seen = rendered.mark
                    yield rendered.frame


async def _renderings(
    state: AppState, make: Make, wait: Wait, broadcast: Broadcast[Rendered]
) -> AsyncGenerator[Rendered, None]:
    """Yield a fragment, and again whenever it has changed; ends when it can not be rendered any more."""
    sent: str | None = None

    async def change() -> None:
        await wait(_POLL_S)

    # Deleted, or the database is away: every stream ends, and its browser reconnects and gets the error.
    with suppress(HpsearchError):
        while True:
            waiting = await started(change())
            try:
                text: str = await query(state, make)
                mark = hashlib.sha256(text.encode()).hexdigest()[:16]
                if mark != sent:
                    sent = mark
                    yield Rendered(mark, format_sse_event(data_str=text, id=mark))
                await waiting
            finally:
                await drop(waiting)
            await asyncio.sleep(broadcast.interval_s(_INTERVAL_S))
