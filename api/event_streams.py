"""Event streams (server-sent events): each ends when its client leaves or reads too slowly, or at shutdown."""

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

from api.app_state import AppState
from api.streaming.async_waits import departure, drop, started
from api.streaming.broadcast import Broadcast
from hpsearch.errors import HpsearchError
from hpsearch.service.context import Caller
from hpsearch.service.results import events, trials
from hpsearch.wire.pages import Event

_log = logging.getLogger("hpsearch.api")

# Events of other server processes are found by polling; ours wake the stream at once.
_POLL_S: Final = 2.0
_SOON_S: Final = 0.2
# Events in quick succession are sent together.
_INTERVAL_S: Final = 0.05
_LEADERBOARD_INTERVAL_S: Final = 0.5
_KEEPALIVE_S: Final = 15.0
# Backpressure: a send waits until the client reads; one that reads nothing for so long is dropped.
_WRITE_TIMEOUT_S: Final = 20.0
_BATCH: Final = 200
BEGINNING: Final = (-1, 0)

Frames = AsyncGenerator[bytes, None]
Ends = tuple[asyncio.Event, ...]


class EventStream(Response):
    """An endless response of server-sent events.

    Args:
        state: Shared by all requests.
        caller: Whose stream it is; it ends with their token.
        frames: Makes the frames, given the events any of which ends them.
    """

    media_type = "text/event-stream"

    def __init__(self, state: AppState, caller: Caller, frames: Callable[[Ends], Frames]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._state, self._caller, self._frames = state, caller, frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - of ASGI
        """Send frames until there are no more."""
        state, token_id = self._state, self._caller.token_id
        with state.streams.place(token_id):
            async with (
                departure(receive) as gone,
                state.token_validity.watched(token_id) as token_over,
                aclosing(self._frames((gone, token_over, state.closing))) as frames,
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


async def query(state: AppState, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a service returns, called in one of the few threads that all streams share."""

    def call() -> Any:
        return function(state.context, *args, **kwargs)

    return await anyio.to_thread.run_sync(call, limiter=state.stream_threads)


def event_frame(event: Event) -> bytes:
    """Return one event as it is sent: `id`, `event` (its kind) and `data` (the event as JSON)."""
    return format_sse_event(data_str=event.model_dump_json(), event=event.kind, id=event.event_id)


Position = tuple[int, int]


class EventBatch(NamedTuple):
    """Events as they are sent, each with its position and all in one, and the position of the last."""

    frames: tuple[tuple[Position, bytes], ...]
    reached: Position
    whole: bytes = b""

    def after(self, position: Position) -> bytes:
        """Return the frames beyond a position."""
        if not self.frames or position < self.frames[0][0]:
            return self.whole
        return b"".join(frame for at, frame in self.frames if at > position)


async def event_frames(state: AppState, study_id: str, after: str | None, ends: Ends) -> Frames:
    """Yield the frames of a study's events after a position, then wait for more, until one of the ends."""
    yield format_sse_event(comment="open", retry=2000)
    seen = BEGINNING if after is None else position_of(after)

    def produce(broadcast: Broadcast[EventBatch]) -> AsyncGenerator[EventBatch, None]:
        return _event_batches(state, study_id, broadcast)

    with state.broadcasts.subscribed(("events", study_id), produce) as node:
        async with aclosing(node.items(*ends, idle_s=_KEEPALIVE_S)) as shared:
            caught_up = False
            async for batch in shared:
                if batch is None:
                    yield KEEPALIVE_COMMENT
                    continue
                if not caught_up:
                    # Events between the client's position and where it subscribed are read for this stream alone.
                    async with aclosing(_events_between(state, study_id, seen, batch.reached)) as missed:
                        async for frames in missed:
                            yield frames
                    caught_up = True
                elif frames := batch.after(seen):
                    yield frames
                seen = max(seen, batch.reached)


async def _events_between(state: AppState, study_id: str, after: Position, until: Position) -> Frames:
    while after < until:
        try:
            found: list[Event] = await query(state, events.since, study_id, after=_id_of(after), limit=_BATCH)
        except HpsearchError:
            return  # deleted, or the database is away: the client reconnects with its last id and gets the error
        batch = _batch(found, after)
        if frames := b"".join(frame for at, frame in batch.frames if at <= until):
            yield frames
        if len(found) < _BATCH:
            return
        after = batch.reached


async def _event_batches(
    state: AppState, study_id: str, broadcast: Broadcast[EventBatch]
) -> AsyncGenerator[EventBatch, None]:
    """Yield the position of a study's last event, then the events after it as they happen."""
    signals, wait_s = state.context.signals, _POLL_S
    with suppress(HpsearchError):  # every stream ends, and its client reconnects with its last id and gets the error
        reached = position_of(await query(state, events.latest_id, study_id))
        yield EventBatch((), reached)
        while True:
            change = await started(signals.wait_for_change(study_id, wait_s))
            try:
                found: list[Event] = await query(state, events.since, study_id, after=_id_of(reached), limit=_BATCH)
                if found:
                    batch = _batch(found, reached)
                    reached = batch.reached
                    yield batch
                else:
                    # On PostgreSQL an event is visible once no earlier one can appear: then the next poll is soon.
                    wait_s = _SOON_S if await change else _POLL_S
            finally:
                await drop(change)
            await asyncio.sleep(broadcast.interval_s(_INTERVAL_S))


def position_of(event_id: str) -> Position:
    """Return the position of an event id, to be compared with others."""
    xact, _, number = event_id.partition("-")
    return int(xact), int(number)


def _id_of(position: Position) -> str | None:
    return None if position == BEGINNING else f"{position[0]}-{position[1]}"


def _batch(found: Sequence[Event], before: Position) -> EventBatch:
    frames = tuple((position_of(event.event_id), event_frame(event)) for event in found)
    return EventBatch(frames, frames[-1][0] if frames else before, b"".join(frame for _, frame in frames))


class LeaderboardFrame(NamedTuple):
    """A leaderboard as it is sent, and its ETag."""

    tag: str
    frame: bytes


async def leaderboard_frames(state: AppState, study_id: str, limit: int, seen: str | None, ends: Ends) -> Frames:
    """Yield the first page of a leaderboard, again whenever it changes; the id of a frame is the page's ETag."""
    yield format_sse_event(comment="open", retry=2000)

    def produce(broadcast: Broadcast[LeaderboardFrame]) -> AsyncGenerator[LeaderboardFrame, None]:
        return _leaderboards(state, study_id, limit, broadcast)

    with state.broadcasts.subscribed(("leaderboard", study_id, limit), produce) as node:
        async with aclosing(node.items(*ends, idle_s=_KEEPALIVE_S)) as boards:
            async for board in boards:
                if board is None:
                    yield KEEPALIVE_COMMENT
                elif board.tag != seen:
                    seen = board.tag
                    yield board.frame


async def _leaderboards(
    state: AppState, study_id: str, limit: int, broadcast: Broadcast[LeaderboardFrame]
) -> AsyncGenerator[LeaderboardFrame, None]:
    signals, sent = state.context.signals, None
    with suppress(HpsearchError):
        while True:
            change = await started(signals.wait_for_change(study_id, _POLL_S))
            try:
                tag = str(await query(state, trials.leaderboard_etag, study_id))
                if tag != sent:
                    page = await query(state, trials.leaderboard, study_id, limit=limit)
                    sent = tag
                    frame = format_sse_event(data_str=page.model_dump_json(), event="leaderboard", id=tag)
                    yield LeaderboardFrame(tag, frame)
                await change
            finally:
                await drop(change)
            await asyncio.sleep(broadcast.interval_s(_LEADERBOARD_INTERVAL_S))
