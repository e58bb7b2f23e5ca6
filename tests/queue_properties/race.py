"""Two requests at once in a forced order: the first is held right before its commit until the second waits."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

from sqlalchemy import Connection, text

from hpsearch.clock import ManualClock
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from hpsearch.storage.store import Store, Transaction
from tests.invariants import invariants
from tests.service.fleet_stub import StubWorker

_TIMEOUT_S: Final = 20.0
_WAITING_FOR: Final = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND :holder = ANY (pg_blocking_pids(pid))
""")


class HeldStore:
    """A store whose first writing transaction stands still right before its commit, or earlier where it is told to."""

    def __init__(self, store: Store, *, at_commit: bool = True) -> None:
        self._store = store
        self._at_commit = at_commit
        self.reached = threading.Event()
        self.go = threading.Event()
        self.pid = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self._store.write() as tx:
            yield tx
            if self._at_commit:
                self.hold(tx.connection)

    def hold(self, connection: Connection) -> None:
        """Stand still, the first time."""
        if not self.reached.is_set():
            self.pid = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
            self.reached.set()
            assert self.go.wait(_TIMEOUT_S)


@dataclass
class Course:
    """Two server processes' worth of service on one PostgreSQL database, under one clock that stands still."""

    settings: Settings
    clock: ManualClock = field(default_factory=ManualClock)
    replicas: tuple[Context, Context] = field(init=False)

    def __post_init__(self) -> None:
        self.replicas = (
            Context.open(self.settings, clock=self.clock),
            Context.open(self.settings, clock=self.clock),
        )

    @property
    def ctx(self) -> Context:
        """Where a test prepares and looks afterwards."""
        return self.replicas[0]

    def worker(self) -> StubWorker:
        """A newly registered worker."""
        return StubWorker(self.ctx)

    def close(self) -> None:
        for ctx in self.replicas:
            ctx.close()

    def race(
        self,
        first: Callable[[Context], Any],
        second: Callable[[Context], Any],
        *,
        waits: bool = True,
        hold_after: tuple[type, str] | None = None,
    ) -> tuple[Any, Any]:
        """Return what both answer; an error of the tree is an answer too.

        Args:
            first: Gets everything done and is held before its commit.
            second: Begins then.
            waits: Whether the second must be seen waiting for a lock of the first; otherwise it must end before.
            hold_after: Class and method of a repository after whose first call the first is held, instead of before
                its commit.
        """
        held = HeldStore(self.replicas[0].store, at_commit=hold_after is None)
        slow = copy.copy(self.replicas[0])
        slow.store = held  # type: ignore[assignment]
        with ThreadPoolExecutor(2) as pool, _holding(held, hold_after):
            try:
                one = pool.submit(first, slow)
                self._await(lambda: held.reached.is_set() or one.done(), "the first never reached its commit")
                assert held.reached.is_set(), f"the first wrote nothing: {one.exception() or one.result()}"
                other = pool.submit(second, self.replicas[1])
                if waits:
                    self._await_lock(held.pid, other)
                else:
                    self._await(other.done, "the second waits, although it need not")
            finally:
                held.go.set()
            answers = one.result(_TIMEOUT_S), other.result(_TIMEOUT_S)
        broken = invariants.check(self.ctx.store)
        assert broken == [], "\n".join(map(str, broken))
        return answers

    def _await_lock(self, holder: int, other: Future[Any]) -> None:
        def waiting() -> bool:
            assert not other.done(), f"the second did not wait: {other.exception() or other.result()}"
            with self.ctx.store.read() as tx:
                return bool(tx.connection.execute(_WAITING_FOR, {"holder": holder}).scalar_one())

        self._await(waiting, "the second neither waits nor ends")

    @staticmethod
    def _await(condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.005)


@contextmanager
def _holding(held: HeldStore, after: tuple[type, str] | None) -> Iterator[None]:
    if after is None:
        yield
        return
    owner, name = after
    plain = getattr(owner, name)

    def wrapped(self: Any, *args: Any, **named: Any) -> Any:
        answer = plain(self, *args, **named)
        held.hold(self._connection)
        return answer

    with patch.object(owner, name, wrapped):
        yield


def through(worker: StubWorker, ctx: Context) -> StubWorker:
    """The same worker, speaking to another replica."""
    same = copy.copy(worker)
    same.ctx = ctx
    return same
