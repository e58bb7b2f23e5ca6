"""Client of server-sent events: follows a stream across broken connections with `Last-Event-ID`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Final, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from hpsearch.client.backoff import Backoff, asked_wait_s
from hpsearch.client.connection import Connection
from hpsearch.errors import HpsearchError, LimitError, UnavailableError

Value = TypeVar("Value", bound=BaseModel)

# The server sends a comment at least every 15 s; after three of them missed the connection is dead.
_SILENCE_S: Final = 50.0


def follow(
    connection: Connection,
    path: str,
    kind: type[Value],
    *,
    params: Mapping[str, object] | None = None,
    after: str | None = None,
    attempts: int | None = None,
    backoff: Backoff | None = None,
) -> Iterator[Value]:
    """Iterate over the messages of a stream, connecting again with `Last-Event-ID` whenever it breaks.

    Args:
        connection: To the server.
        path: Of the stream.
        kind: What the messages' data are; messages of another kind are passed over.
        params: Query.
        after: Go on after the message of this id; None begins where the server begins.
        attempts: Failed connections in a row before the error is raised; None never gives up.
        backoff: How long to wait before connecting again.
    """
    backoff = backoff or Backoff()
    while True:
        wait_s = 0.0
        try:
            for message in _once(connection, path, params, after):
                if message is None:
                    return
                after = message.id or after
                backoff.reset()
                try:
                    value = kind.model_validate_json(message.data)
                except ValidationError:
                    continue
                yield value
        except (UnavailableError, LimitError) as error:
            asked_s = asked_wait_s(error)
            if asked_s is None or (attempts is not None and backoff.n_failures + 1 >= attempts):
                raise
            wait_s = asked_s
        # Also after a polite end: a server that closes each stream at once must not be hammered.
        time.sleep(backoff.next_s(wait_s))


def _once(
    connection: Connection, path: str, params: Mapping[str, object] | None, after: str | None
) -> Iterator[httpx2.ServerSentEvent | None]:
    """Iterate over the messages of one connection; None says that the server wants no further connection (204)."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if after is not None:
        headers["Last-Event-ID"] = after
    with connection.stream(path, headers=headers, params=params, silence_s=_SILENCE_S) as response:
        if response.status_code == HTTPStatus.NO_CONTENT:
            yield None
            return
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            msg = f"{connection.url} answered {path} with {kind or 'nothing'} instead of a stream of events"
            raise HpsearchError(msg, code="server.not_understood")
        yield from httpx2.EventSource(response)
