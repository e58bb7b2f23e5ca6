"""Looking after a crew from a thread, for those who have something else to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hpsearch.errors import HpsearchError
from hpsearch.local.processes import Crew

_LOOK_EVERY_S: Final = 1.0


class Tending:
    """Starts again what dies of a crew, until it is stopped or gives up.

    Args:
        crew: With what it has started.
        tell: Takes one line for the user.

    Attributes:
        crew: As given.
        error: Why it gave up: the server, or every worker, keeps dying; None while it has not.
    """

    def __init__(self, crew: Crew, tell: Callable[[str], None]) -> None:
        self.error: HpsearchError | None = None
        self.crew = crew
        self._tell = tell
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._tend, name="tending", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the crew; safe to call again, and where it never began."""
        self._leaving.set()
        if self._thread.is_alive():
            self._thread.join()
        self.crew.close()

    def _tend(self) -> None:
        while not self._leaving.wait(_LOOK_EVERY_S):
            try:
                self.crew.tend()
            except HpsearchError as error:
                self.error = error
                self._tell(error.message)
                return
            except OSError as error:  # no memory or no process left for the moment
                self._tell(f"What runs locally could not be looked after: {error.strerror or error}")
