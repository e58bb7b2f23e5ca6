"""Retraining one trial with plain Keras, to compare its curve with the stored one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.wire.claims import ClaimedTrial, StudyBrief
from workers.training.engine.task import TrialTask
from workers.training.reference.engine import ReferenceEngine


@dataclass
class Retrained:
    """What training a trial again came to; also the sink that learns it.

    Attributes:
        report: Called after each epoch with its number.
        measurements: Of every epoch, in order.
        outcome: None until the end.
    """

    report: Callable[[int], None]
    measurements: list[Measurement] = field(default_factory=list)
    outcome: Outcome | None = None

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        """Take one epoch."""
        del task
        self.measurements.append(measurement)
        self.report(measurement.epoch)

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        """Take the end."""
        del task, model
        self.outcome = outcome

    def should_stop(self, task: TrialTask) -> bool:
        """Never."""
        del task
        return False

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Never: the curve is all that is wanted."""
        del task, value
        return False


def retrain(
    trial: ClaimedTrial, study: StudyBrief, content: Path, profile: DatasetProfile, report: Callable[[int], None]
) -> Retrained:
    """Return the trial's curve and outcome as plain Keras makes them, on this machine.

    Args:
        trial: As a worker would have got it.
        study: Likewise.
        content: The data set's stored content, verified.
        profile: Of the content.
        report: Called after each epoch with its number.
    """
    retrained = Retrained(report)
    ReferenceEngine().train([TrialTask(trial, study, content, profile)], retrained)
    return retrained
