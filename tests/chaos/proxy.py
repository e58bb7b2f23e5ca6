"""FaultProxy: stands between workers and servers like a load balancer, and loses, doubles and delays answers."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from tests.chaos.messages import Message, read_message

Fate = Literal["cut", "double", "delay"] | None
_CONNECT_TIMEOUT_S: Final = 1.0


class _BrokenError(Exception):
    """The server went away before its answer was whole."""


@dataclass(frozen=True)
class Weather:
    """How often which fault strikes a worker's write, as fractions.

    Attributes:
        cut: The request is processed, its answer thrown away and the connection closed.
        double: The request is sent twice, at the same time; one of the answers is passed on.
        delay: Request or answer is held back for a while.
        delay_s: At most so long, seconds.
    """

    cut: float = 0.0
    double: float = 0.0
    delay: float = 0.0
    delay_s: float = 1.0

    def fate(self, rng: random.Random) -> Fate:
        """Return what happens to one request."""
        drawn = rng.random()
        for fault, share in (("cut", self.cut), ("double", self.double), ("delay", self.delay)):
            drawn -= share
            if drawn < 0:
                return fault  # type: ignore[return-value]
        return None


@dataclass
class _Upstream:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: Message) -> Message:
        try:
            self.writer.write(request.raw)
            await self.writer.drain()
            answer = await read_message(self.reader)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise _BrokenError from error
        if answer is None:
            raise _BrokenError
        return answer


@dataclass
class FaultProxy:
    """A proxy in a thread of its own, at one address for the whole run.

    Attributes:
        ports: Tells where the servers listen that may be asked, in any state; the first that answers is taken, in turn.
        rng: Decides the faults.
        weather: Which faults; may be replaced while it runs.
        struck: How many requests each fault has struck.
    """

    ports: Callable[[], Sequence[int]]
    rng: random.Random
    weather: Weather = field(default_factory=Weather)
    struck: Counter[str] = field(default_factory=Counter)
    port: int = 0
    _turn: int = 0

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: _Upstream | None = None
        try:
            while (request := await read_message(reader)) is not None:
                if upstream is None or upstream.reader.at_eof():
                    _drop(upstream)
                    upstream = await self._connect()
                answer = await self._unless_gone(reader, self._pass(upstream, request))
                if answer is None:
                    return
                writer.write(answer.raw)
                await writer.drain()
                if request.is_last or answer.is_last:
                    return
        except (_BrokenError, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # to the worker all of these look alike: a connection that ends without an answer
        finally:
            _drop(upstream)
            writer.close()

    async def _connect(self) -> _Upstream:
        """Open a connection to the next server that takes it."""
        ports = list(self.ports())
        self._turn += 1
        for i in range(len(ports)):
            port = ports[(self._turn + i) % len(ports)]
            with suppress(OSError, TimeoutError):
                return _Upstream(
                    *await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), _CONNECT_TIMEOUT_S)
                )
        raise _BrokenError

    async def _unless_gone(
        self, reader: asyncio.StreamReader, answering: Coroutine[Any, Any, Message]
    ) -> Message | None:
        """Return the answer; None as soon as the worker has hung up, whose request then ends as well."""
        answer = asyncio.ensure_future(answering)
        # A worker says nothing more before it is answered: what is read here can only be its departure.
        departure = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((answer, departure), return_when=asyncio.FIRST_COMPLETED)
            return await answer if answer.done() else None
        finally:
            for task in (answer, departure):
                task.cancel()
            await asyncio.gather(answer, departure, return_exceptions=True)

    async def _pass(self, upstream: _Upstream, request: Message) -> Message:
        fate = self.weather.fate(self.rng) if request.is_write else None
        if fate is not None:
            self.struck[fate] += 1
        if fate == "double":
            return await self._double(upstream, request)
        before = fate == "delay" and self.rng.random() < 0.5
        if before:
            await asyncio.sleep(self.weather.delay_s * self.rng.random())
        answer = await upstream.ask(request)
        if fate == "cut":
            raise _BrokenError
        if fate == "delay" and not before:
            await asyncio.sleep(self.weather.delay_s * self.rng.random())
        return answer

    async def _double(self, upstream: _Upstream, request: Message) -> Message:
        other = await self._connect()
        try:
            answers = await asyncio.gather(upstream.ask(request), other.ask(request), return_exceptions=True)
        finally:
            _drop(other)
        if isinstance(answers[0], BaseException) or isinstance(answers[1], BaseException):
            raise _BrokenError
        return answers[self.rng.randrange(2)]  # type: ignore[return-value]


def _drop(upstream: _Upstream | None) -> None:
    if upstream is not None:
        upstream.writer.close()
