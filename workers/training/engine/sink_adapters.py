"""Sinks around a sink: one voice at a time, and silence about what was told before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hpsearch.domain.trial import Measurement, Outcome
from workers.training.engine.contract import Sink
from workers.training.engine.task import TrialTask


class LockedSink:
    """Lets two threads speak to a sink, never at once, and counts the trials in hand.

    Args:
        sink: Spoken to.
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
        """Return when there may be further trials, or after so many seconds; does not keep others from speaking."""
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
        """Ask on."""
        with self._lock:
            return self._sink.should_stop(task)

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Ask on."""
        with self._lock:
            return self._sink.keeps_model(task, value)


class SkippingSink:
    """Keeps the first epochs to itself: they were told before the trial was started again.

    Args:
        sink: Spoken to.
        n_told: Epochs already told.
    """

    def __init__(self, sink: LockedSink, n_told: int) -> None:
        self._sink = sink
        self._n_told = n_told
        self.is_finished = False

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        """Pass a new epoch on."""
        if measurement.epoch > self._n_told:
            self._sink.epoch(task, measurement)

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        """Pass the end on."""
        self.is_finished = True
        self._sink.finished(task, outcome, model)

    def should_stop(self, task: TrialTask) -> bool:
        """Ask on."""
        return self._sink.should_stop(task)

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Ask on."""
        return self._sink.keeps_model(task, value)
