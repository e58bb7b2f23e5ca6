"""Ledger: a sink that remembers what it is told of each trial, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.domain.trial import Measurement, Outcome
from workers.training.engine.task import TrialTask


@dataclass
class Ledger:
    """A sink that remembers everything, by trial id.

    Attributes:
        keep: Whether models are wanted.
        stop: Trial ids to drop, each after so many epochs.
        later: Tasks given out by `more`.
        busy: Fails when two threads speak at once.
    """

    keep: bool = True
    stop: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, list[Measurement]] = field(default_factory=dict)
    ends: dict[str, Outcome] = field(default_factory=dict)
    models: dict[str, Path | None] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    busy: threading.Lock = field(default_factory=threading.Lock)

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        assert self.busy.acquire(blocking=False), "two threads spoke to the sink at once"
        assert task.trial.trial_id not in self.ends, "an epoch after the end"
        self.epochs.setdefault(task.trial.trial_id, []).append(measurement)
        self.busy.release()

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        assert self.busy.acquire(blocking=False), "two threads spoke to the sink at once"
        assert task.trial.trial_id not in self.ends, "finished twice"
        self.ends[task.trial.trial_id] = outcome
        self.models[task.trial.trial_id] = model
        self.order.append(task.trial.trial_id)
        self.busy.release()

    def should_stop(self, task: TrialTask) -> bool:
        return len(self.epochs.get(task.trial.trial_id, ())) >= self.stop.get(task.trial.trial_id, 1_000_000)

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        del task, value
        return self.keep


@dataclass
class Refilling(Ledger):
    """A ledger that has more tasks when asked."""

    later: list[TrialTask] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)

    def more(self, n: int) -> Sequence[TrialTask]:
        self.asked.append(n)
        given, self.later = self.later[:n], self.later[n:]
        return given

    def wait(self, timeout_s: float) -> None:
        del timeout_s

    def trained(self, task: TrialTask) -> None:
        del task
