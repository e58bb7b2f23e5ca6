"""Broadcast: one producer for all open streams that want the same news, so that they cost one look at the database."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final, Generic, TypeVar

Item = TypeVar("Item")

# A round of sends to so many listeners would take a noticeable part of a core if it came more often.
_PACE_PER_LISTENER_S: Final = 0.001
# From this many on, listeners take an item one after the other instead of all at once, so that a request that comes in
# between does not wait for all of them; they are through with it before the next one comes.
_CROWD: Final = 50
_SPREAD_PER_LISTENER_S: Final = 0.0005


class Link(Generic[Item]):
    """One item in the chain of news; whoever holds it can wait for the next. Old ones go when nobody holds them.

    Attributes:
        item: None only at the start of a chain and at its end.
        spread_s: Time over which its listeners take it.
        following: Done once there is another; its result has no item when the news have ended.
    """

    __slots__ = ("following", "item", "spread_s")

    def __init__(self, item: Item | None, spread_s: float = 0.0) -> None:
        self.item = item
        self.spread_s = spread_s
        self.following: asyncio.Future[Link[Item]] = asyncio.get_running_loop().create_future()

    async def onwards(self, *ends: asyncio.Event, idle_s: float) -> AsyncGenerator[Item | None, None]:
        """Yield this item, if there is one, and all after it; None whenever none came for `idle_s` seconds.

        Ends with the news, or as soon as one of the events is set.
        """
        link = self
        if link.item is not None:
            yield link.item
        endings: list[asyncio.Future[Any]] = [asyncio.create_task(event.wait()) for event in ends]
        try:
            while not any(event.is_set() for event in ends):
                await asyncio.wait([link.following, *endings], timeout=idle_s, return_when=asyncio.FIRST_COMPLETED)
                if link.following.done():
                    link = link.following.result()
                    if link.item is None:
                        return
                    if link.spread_s:
                        await asyncio.sleep(random.uniform(0, link.spread_s))  # noqa: S311 - nothing to guess here
                    yield link.item
                elif not any(event.is_set() for event in ends):
                    yield None
        finally:
            for ending in endings:
                ending.cancel()
            await asyncio.gather(*endings, return_exceptions=True)


class Broadcast(Generic[Item]):
    """News of one kind, produced while somebody listens.

    Args:
        produce: Makes the news; may ask `pace_s` how long to rest between two of them.
    """

    def __init__(self, produce: Callable[[Broadcast[Item]], AsyncGenerator[Item, None]]) -> None:
        self._produce = produce
        self._tail: Link[Item] = Link(None)
        self._task: asyncio.Task[None] | None = None
        self.n_listeners = 0

    def pace_s(self, least_s: float) -> float:
        """Return how long to rest between two items: longer when many listen."""
        return max(least_s, self.n_listeners * _PACE_PER_LISTENER_S)

    def join(self) -> Link[Item]:
        """Return the newest link, of which the item may still be None; the producer runs from now on."""
        self.n_listeners += 1
        if self._task is None or self._task.done():
            self._tail = Link(None)
            self._task = asyncio.create_task(self._run())
        return self._tail

    def leave(self) -> asyncio.Task[None] | None:
        """Take one listener off; return the producer to be ended when it was the last."""
        self.n_listeners -= 1
        if self.n_listeners:
            return None
        task, self._task = self._task, None
        return task

    async def _run(self) -> None:
        try:
            async with aclosing(self._produce(self)) as items:
                async for item in items:
                    spread_s = self.n_listeners * _SPREAD_PER_LISTENER_S if self.n_listeners >= _CROWD else 0.0
                    self._append(Link(item, spread_s))
        finally:
            self._append(Link(None))

    def _append(self, link: Link[Item]) -> None:
        before, self._tail = self._tail, link
        before.following.set_result(link)


class Broadcasts:
    """The broadcasts of one server process, by what they are about."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Broadcast[Any]] = {}

    @contextmanager
    def joined(
        self, key: Hashable, produce: Callable[[Broadcast[Item]], AsyncGenerator[Item, None]]
    ) -> Iterator[Link[Item]]:
        """Give the newest link of a broadcast, begun if there is none; it ends with its last listener."""
        broadcast: Broadcast[Item] = self._open.setdefault(key, Broadcast(produce))
        try:
            yield broadcast.join()
        finally:
            task = broadcast.leave()
            if not broadcast.n_listeners and self._open.get(key) is broadcast:
                del self._open[key]
            if task is not None:
                task.cancel()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._open)
