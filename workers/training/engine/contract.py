"""The interfaces of an engine, which trains trials, and of a sink, which takes its reports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from hpsearch.domain.trial import Measurement, Outcome
from workers.training.engine.task import TrialTask


class Sink(Protocol):
    """How an engine talks back while it trains."""

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        """Take one epoch's metrics; called once per epoch, in order, before `should_stop` is asked."""
        ...

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        """Take the end of a trial; called at most once per task.

        Args:
            task: The trial.
            outcome: How it ended.
            model: The file written at `task.model_path`, complete and verified; None when none was written.
        """
        ...

    def should_stop(self, task: TrialTask) -> bool:
        """Return whether to drop the trial now (cancelled, pruned or shutting down); asked after each epoch."""
        ...

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Return whether a finished trial of this value should write its model to `task.model_path`."""
        ...


@runtime_checkable
class RefillingSink(Sink, Protocol):
    """A sink that has further trials for slots that fall free; any sink without `more` is trained to its end."""

    def more(self, n: int) -> Sequence[TrialTask]:
        """Return further trials, at once and without waiting; none when there are none.

        Args:
            n: How many the engine can begin, at least 1.
        """
        ...

    def wait(self, timeout_s: float) -> None:
        """Return when `more` may have something, or after so many seconds."""
        ...

    def trained(self, task: TrialTask) -> None:
        """Take note that a trial has left its slot, though it is not finished: its model file is being written."""
        ...


class Engine(Protocol):
    """Something that trains trials."""

    @property
    def n_slots(self) -> int:
        """How many trials it trains at the same time, at least 1; may change as studies come."""
        ...

    @property
    def capacity(self) -> int:
        """How many trials it can usefully hold: those in its slots, and the next ones."""
        ...

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        """Train every task; each ends in exactly one `sink.finished`, unless `sink.should_stop` answered yes.

        Args:
            tasks: Trials of any studies; at least one.
            sink: Receives epochs and ends. From a `RefillingSink` free slots are refilled, and training ends when it
                has nothing more and all trials are done.
        """
        ...
