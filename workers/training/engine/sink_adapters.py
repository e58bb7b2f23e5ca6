"""Adapters of a sink: one that locks it for several threads, one that skips epochs reported before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hpsearch.domain.trial import Measurement, Outcome
from workers.training.engine.contract import Sink
from workers.training.engine.task import TrialTask


class LockedSink:
    """Lets threads call a sink, never two at once, and counts the trials in hand.

    Args:
        sink: Called.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._n_held = 0
        self._more: Callable[[int], Sequence[TrialTask]] | None = getattr(sink, "more", None)

    @property
    def n_held(self) -> int:
        """Trials taken and neither finished nor dropped."""
        return self._n_held

    @property
    def has_more(self) -> bool:
        """Whether the sink can be asked for trials at all."""
        return self._more is not None

    def take(self, n: int) -> None:
        """Count trials that were taken; negative for trials dropped."""
        with self._lock:
            self._n_held += n

    def more(self, n: int) -> Sequence[TrialTask]:
        """Return up to `n` further trials."""
        if self._more is None:
            return ()
        with self._lock:
            return self._more(n)

    def wait(self, timeout_s: float) -> None:
        """Return when there may be further trials, or after so many seconds; does not hold the lock."""
        wait = getattr(self._sink, "wait", None)
        if wait is None:
            time.sleep(timeout_s)
        else:
            wait(timeout_s)

    def trained(self, task: TrialTask) -> None:
        """Pass on that a trial has left its slot, to a sink that wants to know."""
        trained = getattr(self._sink, "trained", None)
        if trained is not None:
            with self._lock:
                trained(task)

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        """Pass an epoch on."""
        with self._lock:
            self._sink.epoch(task, measurement)

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        """Pass an end on."""
        with self._lock:
            self._n_held -= 1
            self._sink.finished(task, outcome, model)

    def should_stop(self, task: TrialTask) -> bool:
        """Return the sink's answer."""
        with self._lock:
            return self._sink.should_stop(task)

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Return the sink's answer."""
        with self._lock:
            return self._sink.keeps_model(task, value)


class SkippingSink:
    """Skips the first epochs: they were reported before the trial was started again.

    Args:
        sink: Called.
        n_reported: Epochs already reported.
    """

    def __init__(self, sink: LockedSink, n_reported: int) -> None:
        self._sink = sink
        self._n_reported = n_reported
        self.is_finished = False

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        """Pass a new epoch on."""
        if measurement.epoch > self._n_reported:
            self._sink.epoch(task, measurement)

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        """Pass the end on."""
        self.is_finished = True
        self._sink.finished(task, outcome, model)

    def should_stop(self, task: TrialTask) -> bool:
        """Return the sink's answer."""
        return self._sink.should_stop(task)

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Return the sink's answer."""
        return self._sink.keeps_model(task, value)
