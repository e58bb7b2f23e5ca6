"""Throughput: epochs per second and trials per hour of this worker, for the fleet's view."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from hpsearch.wire.workers import Stage, WorkerProgress
from workers.assignments import Assignments

# A rate is that of the last five minutes; the first seconds of a worker say nothing.
_WINDOW_S: Final = 300.0
_LEAST_S: Final = 1.0
_SLICE_S: Final = 5.0


class Throughput:
    """Counts epochs and ends of trials.

    Args:
        engine: What trains.
        assignments: The trials held.
        slots: Returns how many trials are trained at the same time, or None where the server does not want to know.
        compiling: Returns how many programs are being compiled, or None likewise.

    Attributes:
        is_fetching: Whether data are being fetched.
    """

    def __init__(
        self,
        engine: str,
        assignments: Assignments,
        slots: Callable[[], int | None] = lambda: None,
        compiling: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._assignments = assignments
        self._slots = slots
        self._compiling = compiling
        self.is_fetching = False
        self._started_s = time.monotonic()
        # (time at which the slice began, epochs, ends): a sum over slices costs the same whatever the rate.
        self._slices: deque[list[float]] = deque([[self._started_s, 0, 0]], maxlen=int(_WINDOW_S / _SLICE_S))

    def epoch(self) -> None:
        """Count an epoch of one trial."""
        self._slice()[1] += 1

    def finished(self) -> None:
        """Count the end of a trial."""
        self._slice()[2] += 1

    def _slice(self) -> list[float]:
        now_s = time.monotonic()
        if now_s - self._slices[-1][0] > _SLICE_S:
            self._slices.append([now_s, 0, 0])
        return self._slices[-1]

    def progress(self) -> WorkerProgress:
        """Return what is in training and the rates of late; safe to call from another thread."""
        now_s = time.monotonic()
        recent = [part for part in tuple(self._slices) if now_s - part[0] < _WINDOW_S]
        since_s = max(_LEAST_S, min(_WINDOW_S, now_s - self._started_s))
        n_held, n_waiting = len(self._assignments.held()), self._assignments.n_without_epoch()
        # Not even null for a server that would refuse a field it does not know.
        asked: dict[str, Any] = {} if (n_slots := self._slots()) is None else {"n_slots": n_slots}
        if (n_compiling := self._compiling()) is not None and n_held:
            asked["stage"] = self._stage(n_held, n_waiting, n_compiling)
        return WorkerProgress(
            engine=self._engine,
            **asked,
            n_training=max(0, n_held - n_waiting),
            n_waiting=n_waiting,
            trials_per_hour=round(sum(part[2] for part in recent) / since_s * 3600, 1),
            epochs_per_second=round(sum(part[1] for part in recent) / since_s, 2),
        )

    def _stage(self, n_held: int, n_waiting: int, n_compiling: int) -> Stage:
        if n_compiling:
            return "compiling"
        return "fetching" if self.is_fetching and n_waiting == n_held else "training"
