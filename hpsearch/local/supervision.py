"""A background thread that supervises local processes, for callers with other things to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hpsearch.errors import HpsearchError
from hpsearch.local.local_processes import LocalProcesses

_LOOK_EVERY_S: Final = 1.0


class Supervision:
    """Restarts local processes that die, until it is stopped or gives up.

    Args:
        processes: With what it has started.
        notify: Takes one line for the user.

    Attributes:
        processes: As given.
        error: Why it gave up: the server, or every worker, keeps dying; None while it has not.
    """

    def __init__(self, processes: LocalProcesses, notify: Callable[[str], None]) -> None:
        self.error: HpsearchError | None = None
        self.processes = processes
        self._notify = notify
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervision", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and the processes; safe to call again, and before `start`."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.processes.close()

    def _supervise(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            try:
                self.processes.supervise()
            except HpsearchError as error:
                self.error = error
                self._notify(error.message)
                return
            except OSError as error:  # no memory or no process left for the moment
                self._notify(f"What runs locally could not be looked after: {error.strerror or error}")
