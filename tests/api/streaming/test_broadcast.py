"""One producer for all listeners: nothing is lost, nobody waits for a slow one, and it ends with the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from api.streaming.broadcast import Broadcast, Broadcasts


async def _count_to(n: int, begun: list[int]) -> AsyncGenerator[int, None]:
    begun.append(n)
    for i in range(1, n + 1):
        await asyncio.sleep(0)
        yield i


async def _hear(
    broadcasts: Broadcasts, n: int, begun: list[int], heard: list[int | None], pause_s: float = 0.0
) -> None:
    never = asyncio.Event()
    with broadcasts.subscribed("numbers", lambda _: _count_to(n, begun)) as node:
        async for item in node.items(never, idle_s=5):
            heard.append(item)
            await asyncio.sleep(pause_s)


def test_all_hear_the_same_from_one_producer() -> None:
    async def run() -> None:
        broadcasts, begun = Broadcasts(), []
        heard: list[list[int | None]] = [[] for _ in range(20)]
        async with asyncio.timeout(10):
            await asyncio.gather(*(_hear(broadcasts, 50, begun, one, 0.001 * (i % 3)) for i, one in enumerate(heard)))
        assert begun == [50]
        assert all(one == list(range(1, 51)) for one in heard)
        assert len(broadcasts) == 0

    asyncio.run(run())


def test_it_ends_with_its_last_listener_and_begins_again() -> None:
    async def endless(ended: list[bool]) -> AsyncGenerator[int, None]:
        try:
            for i in range(1_000_000):
                yield i
                await asyncio.sleep(0.001)
        finally:
            ended.append(True)

    async def run() -> None:
        broadcasts, ended, gone = Broadcasts(), [], asyncio.Event()
        for rounds in (1, 2):
            with broadcasts.subscribed("x", lambda _: endless(ended)) as node:
                news = node.items(gone, idle_s=5)
                assert [await anext(news) for _ in range(3)] == [0, 1, 2]
                await news.aclose()
            await asyncio.sleep(0.05)
            assert len(ended) == rounds

    asyncio.run(run())


def test_silence_is_told_and_departure_ends_it() -> None:
    async def silent() -> AsyncGenerator[int, None]:
        await asyncio.sleep(60)
        yield 1

    async def run() -> None:
        broadcasts, gone = Broadcasts(), asyncio.Event()
        with broadcasts.subscribed("x", lambda _: silent()) as node:
            news = node.items(gone, idle_s=0.01)
            assert await anext(news) is None
            gone.set()
            assert [item async for item in news] == []

    asyncio.run(run())


def test_many_listeners_slow_the_pace() -> None:
    broadcast: Broadcast[int] | None = None

    async def run() -> None:
        nonlocal broadcast
        broadcast = Broadcast(lambda _: _count_to(1, []))
        assert broadcast.interval_s(0.05) == 0.05
        broadcast.n_subscribers = 500
        assert broadcast.interval_s(0.05) == 0.5

    asyncio.run(run())
