"""The progress of a study as occasional plain lines, for logs and pipes."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from hpsearch.cli.console import note
from hpsearch.cli.display import wording
from hpsearch.cli.display.formatting import duration
from hpsearch.cli.display.study_progress import Snapshot, Story

_EVERY_S: Final = 10.0
# A better value is worth a line of its own, but not twenty a second.
_AT_MOST_EVERY_S: Final = 1.0
_RUNNING_WIDTH: Final = 80


class PlainView:
    """Prints a line to stderr now and then: at first, on better values, on changes of state, every ten seconds."""

    def __init__(self) -> None:
        self._story = Story()
        self._shown: Snapshot | None = None
        self._noted: str | None = None

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End; nothing is left open."""

    def show(self, snapshot: Snapshot) -> None:
        """Print a line about the snapshot if it says something new."""
        self._story.add(snapshot)
        if snapshot.study.note_to_user not in (None, self._noted):
            note(f"note: {snapshot.study.note_to_user}")
            self._noted = snapshot.study.note_to_user
        if self._is_news(snapshot):
            parts = [wording.tally(snapshot), wording.best_so_far(snapshot), wording.time_left(self._story, snapshot)]
            if self._shown is not None and self._shown.study.n_trials == snapshot.study.n_trials:
                parts.append(wording.running(snapshot, _RUNNING_WIDTH))
            standing = wording.standing(snapshot)
            if standing != "running":
                parts.append(standing)
            elapsed = duration(self._story.elapsed_s(snapshot))
            note(f"[{elapsed}] {snapshot.study.name}: {'; '.join(part for part in parts if part)}")
            self._shown = snapshot

    def notify(self, text: str) -> None:
        """Print lines."""
        note(text)

    def wait(self, text: str) -> None:
        """Print what is being waited for."""
        note(text)

    def _is_news(self, snapshot: Snapshot) -> bool:
        before = self._shown
        if before is None or wording.standing(before) != wording.standing(snapshot):
            return True
        if before.stage != snapshot.stage and snapshot.stage:
            return True
        quiet_s = snapshot.at_s - before.at_s
        better = before.best != snapshot.best
        if better and before.best is None:
            return True
        moved = (before.study.counts, before.running) != (snapshot.study.counts, snapshot.running)
        return (better and quiet_s >= _AT_MOST_EVERY_S) or (moved and quiet_s >= _EVERY_S) or quiet_s >= 6 * _EVERY_S
