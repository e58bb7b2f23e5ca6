"""Wake-ups by a study's event stream, so that polling need not wait; reconnects by itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from hpsearch.domain.lifecycle import STUDY_FINAL

if TYPE_CHECKING:
    from hpsearch.client.client import Client

_PAUSE_S: Final = 2.0
_END_S: Final = 1.0
_ENDINGS: Final = frozenset(f"study.{state.lower()}" for state in STUDY_FINAL)


class Wakeups:
    """Wakes the watcher whenever the server reports an event; a lost stream costs only promptness."""

    def __init__(self, source: Callable[[], Client], study_id: str) -> None:
        self._source = source
        self._study_id = study_id
        self._news = threading.Event()
        self._ended = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="events", daemon=True)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop listening; the thread ends by itself at its next event or timeout."""
        self._closed.set()

    def rest(self, pause_s: float) -> None:
        """Return after ``pause_s`` seconds, or at once when the study has ended."""
        self._ended.wait(pause_s)

    def wait(self, timeout_s: float) -> None:
        """Return at the next event, at the latest after ``timeout_s`` seconds."""
        self._news.wait(timeout_s)
        self._news.clear()

    def _listen(self) -> None:
        after: str | None = None
        while not self._closed.is_set():
            # Whatever ends the stream (the client may be closed under it), the watcher still looks by itself.
            with contextlib.suppress(Exception):
                for event in self._source().studies.events(self._study_id, after=after, attempts=2):
                    after = event.event_id
                    is_end = event.kind in _ENDINGS
                    if is_end:
                        self._ended.set()
                    self._news.set()
                    # Whoever waited for the end goes now; the connection must not outlive its client.
                    if self._closed.wait(_END_S if is_end else 0):
                        return
            self._closed.wait(_PAUSE_S)
