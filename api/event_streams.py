"""Event streams (Server-Sent Events): sent while the client reads, ended when it leaves or the server stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, Final, NamedTuple

import anyio.to_thread
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.app_state import Edge
from api.streaming.async_waits import departure, drop, started
from api.streaming.broadcast import Broadcast
from hpsearch.errors import HpsearchError
from hpsearch.service.context import Caller
from hpsearch.service.results import events, trials
from hpsearch.wire.pages import Event

_log = logging.getLogger("hpsearch.api")

# Other server processes' news are seen by looking; ours wake the stream at once.
_LOOK_S: Final = 2.0
_SOON_S: Final = 0.2
# News that come in quick succession travel together.
_PACE_S: Final = 0.05
_LEADERBOARD_PACE_S: Final = 0.5
_KEEPALIVE_S: Final = 15.0
# A reader that takes nothing for so long is dropped.
_WRITE_TIMEOUT_S: Final = 20.0
_BATCH: Final = 200
BEGINNING: Final = (-1, 0)

Frames = AsyncGenerator[bytes, None]
Ends = tuple[asyncio.Event, ...]


class EventStream(Response):
    """An endless answer.

    Args:
        edge: Its places and the validity of tokens.
        caller: Whose stream it is; it ends with their token.
        frames: Makes the frames, given the events any of which ends them.
    """

    media_type = "text/event-stream"

    def __init__(self, edge: Edge, caller: Caller, frames: Callable[[Ends], Frames]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._edge, self._caller, self._frames = edge, caller, frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - of ASGI
        """Send frames until there are no more."""
        edge, token_id = self._edge, self._caller.token_id
        with edge.streams.one(token_id):
            async with (
                departure(receive) as gone,
                edge.validity.watched(token_id) as over,
                aclosing(self._frames((gone, over, edge.closing))) as frames,
            ):
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


Position = tuple[int, int]


class News(NamedTuple):
    """Events as they travel, each with its position and all in one, and the position reached with them."""

    frames: tuple[tuple[Position, bytes], ...]
    reached: Position
    whole: bytes = b""

    def after(self, position: Position) -> bytes:
        """Return the frames beyond a position."""
        if not self.frames or position < self.frames[0][0]:
            return self.whole
        return b"".join(frame for at, frame in self.frames if at > position)


async def event_frames(edge: Edge, study_id: str, after: str | None, ends: Ends) -> Frames:
    """Yield the frames of a study's events after a position, then wait for more, until one of the ends."""
    yield format_sse_event(comment="open", retry=2000)
    seen = BEGINNING if after is None else position_of(after)

    def produce(broadcast: Broadcast[News]) -> AsyncGenerator[News, None]:
        return _event_news(edge, study_id, broadcast)

    with edge.broadcasts.joined(("events", study_id), produce) as link:
        async with aclosing(link.onwards(*ends, idle_s=_KEEPALIVE_S)) as shared:
            caught_up = False
            async for news in shared:
                if news is None:
                    yield KEEPALIVE_COMMENT
                    continue
                if not caught_up:
                    # What lies between the client's position and where it joined the others, it fetches by itself.
                    async with aclosing(_events_between(edge, study_id, seen, news.reached)) as missed:
                        async for batch in missed:
                            yield batch
                    caught_up = True
                elif frames := news.after(seen):
                    yield frames
                seen = max(seen, news.reached)


async def _events_between(edge: Edge, study_id: str, after: Position, until: Position) -> Frames:
    while after < until:
        try:
            batch: list[Event] = await look(edge, events.since, study_id, after=_id_of(after), limit=_BATCH)
        except HpsearchError:
            return  # deleted, or the database is away: the client comes back with its last id and is told
        news = _news(batch, after)
        if frames := b"".join(frame for at, frame in news.frames if at <= until):
            yield frames
        if len(batch) < _BATCH:
            return
        after = news.reached


async def _event_news(edge: Edge, study_id: str, broadcast: Broadcast[News]) -> AsyncGenerator[News, None]:
    """Yield where the events of a study stand, and from then on what happens."""
    signals, wait_s = edge.context.signals, _LOOK_S
    with suppress(HpsearchError):  # every stream ends, and its client comes back with its last id and is told
        reached = position_of(await look(edge, events.latest_id, study_id))
        yield News((), reached)
        while True:
            change = await started(signals.wait_for_change(study_id, wait_s))
            try:
                batch: list[Event] = await look(edge, events.since, study_id, after=_id_of(reached), limit=_BATCH)
                if batch:
                    news = _news(batch, reached)
                    reached = news.reached
                    yield news
                else:
                    # On PostgreSQL an event is told once no earlier one can appear: then it is looked for again soon.
                    wait_s = _SOON_S if await change else _LOOK_S
            finally:
                await drop(change)
            await asyncio.sleep(broadcast.pace_s(_PACE_S))


def position_of(event_id: str) -> Position:
    """Return the position of an event id, to be compared with others."""
    xact, _, number = event_id.partition("-")
    return int(xact), int(number)


def _id_of(position: Position) -> str | None:
    return None if position == BEGINNING else f"{position[0]}-{position[1]}"


def _news(batch: Sequence[Event], before: Position) -> News:
    frames = tuple((position_of(event.event_id), event_frame(event)) for event in batch)
    return News(frames, frames[-1][0] if frames else before, b"".join(frame for _, frame in frames))


class Board(NamedTuple):
    """A leaderboard as it travels, and its tag."""

    tag: str
    frame: bytes


async def leaderboard_frames(edge: Edge, study_id: str, limit: int, seen: str | None, ends: Ends) -> Frames:
    """Yield the first page of a leaderboard, again whenever it changes; the id of a frame is the page's tag."""
    yield format_sse_event(comment="open", retry=2000)

    def produce(broadcast: Broadcast[Board]) -> AsyncGenerator[Board, None]:
        return _boards(edge, study_id, limit, broadcast)

    with edge.broadcasts.joined(("leaderboard", study_id, limit), produce) as link:
        async with aclosing(link.onwards(*ends, idle_s=_KEEPALIVE_S)) as boards:
            async for board in boards:
                if board is None:
                    yield KEEPALIVE_COMMENT
                elif board.tag != seen:
                    seen = board.tag
                    yield board.frame


async def _boards(edge: Edge, study_id: str, limit: int, broadcast: Broadcast[Board]) -> AsyncGenerator[Board, None]:
    signals, told = edge.context.signals, None
    with suppress(HpsearchError):
        while True:
            change = await started(signals.wait_for_change(study_id, _LOOK_S))
            try:
                tag = str(await look(edge, trials.leaderboard_etag, study_id))
                if tag != told:
                    page = await look(edge, trials.leaderboard, study_id, limit=limit)
                    told = tag
                    yield Board(tag, format_sse_event(data_str=page.model_dump_json(), event="leaderboard", id=tag))
                await change
            finally:
                await drop(change)
            await asyncio.sleep(broadcast.pace_s(_LEADERBOARD_PACE_S))
