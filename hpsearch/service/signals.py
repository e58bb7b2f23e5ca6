"""In-process notifications: they wake workers that wait for trials (long polling) and open event streams.

They only shorten waits: changes by another server process are not seen here, so every waiter polls the database, too.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# How long trials that a worker wanted and did not get count as demand.
_DEMAND_S = 10.0
# How long a worker that got no trials counts as starved: it asks again every two seconds while it waits.
_STARVED_S = 4.0


class _Waiters:
    """Asyncio tasks waiting for a topic; woken from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @contextmanager
    def joined(self) -> Iterator[asyncio.Event]:
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._guard:
            self._waiting.add(entry)
        try:
            yield entry[1]
        finally:
            with self._guard:
                self._waiting.discard(entry)

    def wake(self) -> None:
        with self._guard:
            waiting = list(self._waiting)
        for loop, event in waiting:
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(event.set)


class Signals:
    """Topics of one server process: work, changes of studies, and the demand for trials."""

    def __init__(self) -> None:
        self._work = _Waiters()
        self._any = _Waiters()
        self._guard = threading.Lock()
        self._studies: dict[str, _Waiters] = {}
        self._wanted: dict[str, tuple[float, int]] = {}
        self._starved: dict[str, float] = {}
        self.fill_needed = threading.Event()

    def work(self) -> None:
        """Say that trials may be claimable."""
        self._work.wake()

    def changed(self, study_uid: str) -> None:
        """Say that something happened in a study."""
        with self._guard:
            waiters = self._studies.get(study_uid)
        if waiters is not None:
            waiters.wake()
        self._any.wake()

    async def wait_for_work(self, timeout_s: float) -> bool:
        """Return True as soon as trials may be claimable, False after ``timeout_s`` seconds."""
        with self._work.joined() as event:
            return await _within(event, timeout_s)

    async def wait_for_change(self, study_uid: str, timeout_s: float) -> bool:
        """Return True as soon as something happens in the study, False after ``timeout_s`` seconds."""
        with self._guard:
            waiters = self._studies.setdefault(study_uid, _Waiters())
        with waiters.joined() as event:
            return await _within(event, timeout_s)

    async def wait_for_any_change(self, timeout_s: float) -> bool:
        """Return True as soon as something happens in some study, False after ``timeout_s`` seconds."""
        with self._any.joined() as event:
            return await _within(event, timeout_s)

    def want(self, worker_id: str, n: int) -> None:
        """Note that a worker asked for ``n`` more trials than there were, 0 for none; replaces its earlier number."""
        now = time.monotonic()
        with self._guard:
            self._wanted.pop(worker_id, None)
            if n <= 0:
                return
            self._wanted = {uid: wanted for uid, wanted in self._wanted.items() if now - wanted[0] < _DEMAND_S}
            self._wanted[worker_id] = (now, n)
        self.fill_needed.set()

    def claimed(self, worker_id: str, n: int) -> None:
        """Note that a worker asked for trials and got ``n``."""
        now = time.monotonic()
        with self._guard:
            self._starved.pop(worker_id, None)
            if n == 0:
                self._starved = {uid: at for uid, at in self._starved.items() if now - at < _STARVED_S}
                self._starved[worker_id] = now

    def n_starved(self, *, but: str) -> int:
        """Return how many workers other than one have lately asked for trials and got none."""
        now = time.monotonic()
        with self._guard:
            return sum(now - at < _STARVED_S for uid, at in self._starved.items() if uid != but)

    def n_wanted(self) -> int:
        """Return how many trials workers wanted and did not get within the last ten seconds."""
        now = time.monotonic()
        with self._guard:
            return sum(n for at, n in self._wanted.values() if now - at < _DEMAND_S)


async def _within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except TimeoutError:
        return False
    return True
