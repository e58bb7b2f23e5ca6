"""Cache of the fleet's slots: how many trials all workers together can train at the same time."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final

from hpsearch.domain.progress import FleetSlots
from hpsearch.storage.store import Transaction

# Time to live: what other server processes were sent, and which workers have left, is read from the database so often.
_TTL_S: Final = 2.0


class SlotsCache:
    """The fleet's slots as one server process knows them.

    Args:
        present_s: Seconds for which a worker counts after its last request.
    """

    def __init__(self, present_s: float) -> None:
        self._present_s = present_s
        self._guard = threading.Lock()
        self._known: FleetSlots | None = None
        self._read_s = 0.0
        self._n_forgotten = 0

    def forget(self) -> None:
        """Read again at the next call: a worker has reported other slots."""
        with self._guard:
            self._known = None
            self._n_forgotten += 1

    def of_fleet(self, tx: Transaction) -> FleetSlots:
        """Return the slots of the active workers that are present; read at most every two seconds."""
        now_s = time.monotonic()
        with self._guard:
            if self._known is not None and now_s - self._read_s < _TTL_S:
                return self._known
            n_forgotten = self._n_forgotten
        reported = tx.workers.slots(tx.at - timedelta(seconds=self._present_s))
        n_slots = sum(n for n in reported if n is not None)
        found = FleetSlots(n_workers=len(reported), n_slots=None if None in reported else n_slots)
        with self._guard:
            if n_forgotten == self._n_forgotten:  # else it may have been read before what was reported meanwhile
                self._known, self._read_s = found, now_s
        return found
