"""A few at a time, and nobody is kept waiting for those inside."""

from __future__ import annotations

import asyncio
import threading

import pytest

from api.limits.concurrency_limit import ConcurrencyLimit


class Work:
    """Counts how many threads are inside at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0
        self.go_on = threading.Event()

    def __call__(self, number: int) -> int:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        assert self.go_on.wait(10)
        with self._lock:
            self._inside -= 1
        return number


def test_no_more_run_side_by_side_than_there_are_places() -> None:
    work = Work()

    async def seven() -> list[int]:
        limit = ConcurrencyLimit(3, max_wait_s=60)
        running = [asyncio.create_task(limit.run(work, number)) for number in range(7)]
        await asyncio.sleep(0.3)
        assert work.most == 3
        work.go_on.set()
        return await asyncio.gather(*running)

    assert asyncio.run(seven()) == list(range(7))
    assert work.most == 3


def test_who_has_waited_long_enough_goes_in_though_nobody_came_out() -> None:
    work = Work()

    async def three() -> None:
        limit = ConcurrencyLimit(1, max_wait_s=0.05)
        running = [asyncio.create_task(limit.run(work, number)) for number in range(3)]
        await asyncio.sleep(1)
        assert work.most == 3
        work.go_on.set()
        await asyncio.gather(*running)

    asyncio.run(three())


def test_a_place_is_free_again_after_a_failure() -> None:
    def fail() -> None:
        raise KeyError

    async def twice() -> None:
        limit = ConcurrencyLimit(1, max_wait_s=60)
        for _ in range(2):
            with pytest.raises(KeyError):
                await limit.run(fail)

    asyncio.run(asyncio.wait_for(twice(), 5))
