"""Broadcast: one producer for all server-sent event streams of the same content, so that they share one database poll.

Items form a linked list of futures: each node holds an item and a future of the next node. A stream keeps the node it
has sent last and awaits its future; nodes that no stream keeps are garbage.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Final, Generic, TypeVar

Item = TypeVar("Item")

# Sending an item to so many subscribers would take a noticeable part of a core if items came more often.
_INTERVAL_PER_SUBSCRIBER_S: Final = 0.001
# From this many subscribers on, they send an item one after the other instead of all at once, so that a request that
# arrives meanwhile does not wait for all of them; they are through with it before the next item.
_MANY: Final = 50
_SPREAD_PER_SUBSCRIBER_S: Final = 0.0005


class Node(Generic[Item]):
    """One node of the linked list.

    Attributes:
        item: None only in the first node of a list and in its last.
        spread_s: Time over which subscribers send the item, in seconds.
        next: Future of the next node; a node without an item ends the list.
    """

    __slots__ = ("item", "next", "spread_s")

    def __init__(self, item: Item | None, spread_s: float = 0.0) -> None:
        self.item = item
        self.spread_s = spread_s
        self.next: asyncio.Future[Node[Item]] = asyncio.get_running_loop().create_future()

    async def items(self, *ends: asyncio.Event, idle_s: float) -> AsyncGenerator[Item | None, None]:
        """Yield this item, if there is one, and all after it; None after each `idle_s` seconds without one.

        Ends with the list, or as soon as one of the events is set.
        """
        node = self
        if node.item is not None:
            yield node.item
        endings: list[asyncio.Future[Any]] = [asyncio.create_task(event.wait()) for event in ends]
        try:
            while not any(event.is_set() for event in ends):
                await asyncio.wait([node.next, *endings], timeout=idle_s, return_when=asyncio.FIRST_COMPLETED)
                if node.next.done():
                    node = node.next.result()
                    if node.item is None:
                        return
                    if node.spread_s:
                        await asyncio.sleep(random.uniform(0, node.spread_s))  # noqa: S311 - nothing to guess here
                    yield node.item
                elif not any(event.is_set() for event in ends):
                    yield None
        finally:
            for ending in endings:
                ending.cancel()
            await asyncio.gather(*endings, return_exceptions=True)


class Broadcast(Generic[Item]):
    """Items of one kind, produced while there are subscribers.

    Args:
        produce: Makes the items; `interval_s` says how long to wait between two of them.
    """

    def __init__(self, produce: Callable[[Broadcast[Item]], AsyncGenerator[Item, None]]) -> None:
        self._produce = produce
        self._tail: Node[Item] = Node(None)
        self._task: asyncio.Task[None] | None = None
        self.n_subscribers = 0

    def interval_s(self, least_s: float) -> float:
        """Return the time to wait between two items, in seconds: longer with many subscribers."""
        return max(least_s, self.n_subscribers * _INTERVAL_PER_SUBSCRIBER_S)

    def subscribe(self) -> Node[Item]:
        """Return the newest node, of which the item may still be None; the producer runs from now on."""
        self.n_subscribers += 1
        if self._task is None or self._task.done():
            self._tail = Node(None)
            self._task = asyncio.create_task(self._run())
        return self._tail

    def unsubscribe(self) -> asyncio.Task[None] | None:
        """Remove one subscriber; return the producer, to be cancelled, when it was the last."""
        self.n_subscribers -= 1
        if self.n_subscribers:
            return None
        task, self._task = self._task, None
        return task

    async def _run(self) -> None:
        try:
            async with aclosing(self._produce(self)) as items:
                async for item in items:
                    spread_s = self.n_subscribers * _SPREAD_PER_SUBSCRIBER_S if self.n_subscribers >= _MANY else 0.0
                    self._append(Node(item, spread_s))
        finally:
            self._append(Node(None))

    def _append(self, node: Node[Item]) -> None:
        before, self._tail = self._tail, node
        before.next.set_result(node)


class Broadcasts:
    """The broadcasts of one server process, by what they are about."""

    def __init__(self) -> None:
        self._open: dict[Hashable, Broadcast[Any]] = {}

    @contextmanager
    def subscribed(
        self, key: Hashable, produce: Callable[[Broadcast[Item]], AsyncGenerator[Item, None]]
    ) -> Iterator[Node[Item]]:
        """Give the newest node of a broadcast, begun if there is none; it ends with its last subscriber."""
        broadcast: Broadcast[Item] = self._open.setdefault(key, Broadcast(produce))
        try:
            yield broadcast.subscribe()
        finally:
            task = broadcast.unsubscribe()
            if not broadcast.n_subscribers and self._open.get(key) is broadcast:
                del self._open[key]
            if task is not None:
                task.cancel()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._open)
