"""Slot usage: the share of computed slots that had a member, for the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_EVERY_S: Final = 15.0


class SlotUsage:
    """Adds up the epochs of packs, and says now and then how full they were.

    Args:
        explain: Takes a sentence for the log.

    Attributes:
        filled_s: Slots with a member, times the seconds of their packs' epochs, since the engine was made.
        slots_s: All slots, likewise.
    """

    def __init__(self, explain: Callable[[str], None]) -> None:
        self._explain = explain
        self.filled_s = self.slots_s = 0.0
        self._said_s = time.perf_counter()
        self._before = (0.0, 0.0)
        self._n_epochs = 0

    def epoch(self, n_members: int, n_slots: int, took_s: float) -> None:
        """Take an epoch of a pack: how many of its slots had a member, and the seconds it took."""
        self.filled_s += n_members * took_s
        self.slots_s += n_slots * took_s
        self._n_epochs += n_members
        now_s = time.perf_counter()
        if now_s - self._said_s >= _EVERY_S:
            self._say(now_s)

    def pause(self) -> None:
        """Say what has not been said: no trial is left."""
        if self._n_epochs:
            self._say(time.perf_counter())

    def start(self) -> None:
        """Begin to count the seconds that are said: there are trials again."""
        self._said_s = time.perf_counter()

    @property
    def share(self) -> float:
        """Share of the slots that had a member, 0 to 1, over the time they were computed."""
        return self.filled_s / self.slots_s if self.slots_s else 0.0

    def _say(self, now_s: float) -> None:
        filled_s, slots_s = self.filled_s - self._before[0], self.slots_s - self._before[1]
        seconds = now_s - self._said_s
        self._explain(
            f"slots filled: {filled_s / slots_s:.0%} in the last {seconds:.0f} s, {self._n_epochs} epochs of trials"
        )
        self._said_s, self._before, self._n_epochs = now_s, (self.filled_s, self.slots_s), 0
