"""A lock that serves its waiters strictly in order of arrival."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class FifoLock:
    """Mutual exclusion without starvation; not reentrant.

    The standard library's lock makes no promise of order, and with several busy threads one of them can wait for
    seconds while the others take turns.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._waiters: deque[threading.Event] = deque()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock for the body; waiters get it in the order they came."""
        turn: threading.Event | None = None
        with self._guard:
            if self._held:
                turn = threading.Event()
                self._waiters.append(turn)
            else:
                self._held = True
        if turn is not None:
            turn.wait()
        try:
            yield
        finally:
            with self._guard:
                if self._waiters:
                    self._waiters.popleft().set()
                else:
                    self._held = False
