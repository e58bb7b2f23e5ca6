"""Whole HTTP/1.1 messages off a stream, as bytes: all that a proxy which only passes them on must know."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

_MAX_HEAD_BYTES: Final = 64 * 1024
_BODILESS: Final = frozenset({b"204", b"304"})


@dataclass(frozen=True)
class Message:
    """One request or answer.

    Attributes:
        start: Its first line.
        raw: All of it.
        is_last: Whether its sender closes the connection after it.
    """

    start: bytes
    raw: bytes
    is_last: bool

    @property
    def path(self) -> str:
        """What a request asks for, without the query."""
        return self.start.split(b" ")[1].split(b"?")[0].decode("latin-1")

    @property
    def is_write(self) -> bool:
        """Whether it is a POST of a worker: a registration, a claim or a report."""
        return self.start.startswith(b"POST /v1/workers")


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message; None when the sender has closed the connection between messages.

    Raises:
        asyncio.IncompleteReadError: The sender closed it in the midst of one.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    start, *lines = head[:_MAX_HEAD_BYTES].split(b"\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    is_answer = start.startswith(b"HTTP/")
    if is_answer and start.split(b" ")[1] in _BODILESS:
        body = b""
    elif fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = await _chunks(reader)
    elif b"content-length" in fields:
        body = await reader.readexactly(int(fields[b"content-length"]))
    else:
        body = await reader.read() if is_answer else b""
    return Message(start, head + body, fields.get(b"connection", b"").lower() == b"close")


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        parts += line + await reader.readexactly(size + 2)
        if size == 0:
            return bytes(parts)
