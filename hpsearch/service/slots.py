"""How many trials the fleet can train at the same time, kept for a moment so that asking costs nothing."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final

from hpsearch.domain.progress import FleetSlots
from hpsearch.storage.store import Transaction

# What other server processes have heard, and who has gone, is seen by looking this often.
_LOOK_EVERY_S: Final = 2.0


class Slots:
    """The fleet's slots as one server process knows them.

    Args:
        present_s: Seconds for which a worker counts after it was last heard of.
    """

    def __init__(self, present_s: float) -> None:
        self._present_s = present_s
        self._guard = threading.Lock()
        self._known: FleetSlots | None = None
        self._looked_s = 0.0
        self._n_forgotten = 0

    def forget(self) -> None:
        """Look again at the next question: a worker has said something new."""
        with self._guard:
            self._known = None
            self._n_forgotten += 1

    def of_fleet(self, tx: Transaction) -> FleetSlots:
        """Return what the active workers that were lately heard of have said; looked up at most every two seconds."""
        now_s = time.monotonic()
        with self._guard:
            if self._known is not None and now_s - self._looked_s < _LOOK_EVERY_S:
                return self._known
            n_forgotten = self._n_forgotten
        told = tx.workers.slots(tx.at - timedelta(seconds=self._present_s))
        n_slots = sum(n for n in told if n is not None)
        found = FleetSlots(n_workers=len(told), n_slots=None if None in told else n_slots)
        with self._guard:
            if n_forgotten == self._n_forgotten:  # else the look may have come too early for what was said meanwhile
                self._known, self._looked_s = found, now_s
        return found
