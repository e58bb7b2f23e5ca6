"""The contract between what trains trials (an engine) and what reports them (a sink)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

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


class Engine(Protocol):
    """Something that trains trials."""

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        """Train every task; each ends in exactly one `sink.finished`, unless `sink.should_stop` answered yes.

        Args:
            tasks: Trials of any studies; at least one.
            sink: Receives epochs and ends.
        """
        ...
