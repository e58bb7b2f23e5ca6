"""Following a study's events over Server-Sent Events, across broken connections."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import httpx2
from pydantic import ValidationError

from hpsearch.client.backoff import Backoff, asked_wait_s
from hpsearch.client.connection import Connection
from hpsearch.errors import HpsearchError, LimitError, UnavailableError
from hpsearch.wire.pages import Event

# The server sends a comment at least every 15 s; after three of them missed the connection is dead.
_SILENCE_S: Final = 50.0


def follow(connection: Connection, path: str, *, after: str | None, attempts: int | None) -> Iterator[Event]:
    """Iterate over the events of a stream, connecting again with `Last-Event-ID` whenever it breaks.

    Args:
        connection: To the server.
        path: Of the stream.
        after: Go on after this event; None begins with the first.
        attempts: Failed connections in a row before the error is raised; None never gives up.
    """
    backoff = Backoff()
    while True:
        n_seen = 0
        wait_s = 0.0
        try:
            for event in _once(connection, path, after):
                if event is None:
                    return
                n_seen += 1
                after = event.event_id
                backoff.reset()
                yield event
        except (UnavailableError, LimitError) as error:
            asked_s = asked_wait_s(error)
            if asked_s is None or (attempts is not None and backoff.n_failures + 1 >= attempts):
                raise
            wait_s = asked_s
        # Also after a polite end: a server that closes each stream at once must not be hammered.
        time.sleep(backoff.next_s(wait_s))


def _once(connection: Connection, path: str, after: str | None) -> Iterator[Event | None]:
    """Iterate over the events of one connection; None says that the server wants no further connection (204)."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if after is not None:
        headers["Last-Event-ID"] = after
    with connection.stream(path, headers=headers, silence_s=_SILENCE_S) as response:
        if response.status_code == HTTPStatus.NO_CONTENT:
            yield None
            return
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            msg = f"{connection.url} answered {path} with {kind or 'nothing'} instead of a stream of events"
            raise HpsearchError(msg, code="server.not_understood")
        for message in httpx2.EventSource(response):
            try:
                yield Event.model_validate_json(message.data)
            except ValidationError:
                continue  # a kind of message this version does not know
