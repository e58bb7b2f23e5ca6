"""Pulse: how long the machine itself kept this process waiting, so that a busy machine is not taken for a fault."""

from __future__ import annotations

import threading
import time
from typing import Final, Self

_BEAT_S: Final = 0.05


class Pulse:
    """A thread that sleeps a little, again and again, and notes how much longer that took.

    Attributes:
        longest_s: The longest delay so far, seconds.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def _beat(self) -> None:
        while not self._stop.is_set():
            began_s = time.monotonic()
            time.sleep(_BEAT_S)
            self.longest_s = max(self.longest_s, time.monotonic() - began_s - _BEAT_S)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
