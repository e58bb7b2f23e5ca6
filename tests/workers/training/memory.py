"""What tests of training pass around: a stored data set, and a sink that remembers everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.trial import Measurement, Outcome
from workers.training.engine.task import TrialTask


@dataclass(frozen=True)
class Stored:
    """A data set as a worker gets it."""

    content: Path
    profile: DatasetProfile
    digest: str


@dataclass
class Memory:
    """A sink that remembers everything."""

    keep: bool = True
    stop_after: int | None = None
    measurements: list[Measurement] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    models: list[Path | None] = field(default_factory=list)
    offered: list[float] = field(default_factory=list)

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        del task
        self.measurements.append(measurement)

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        del task
        self.outcomes.append(outcome)
        self.models.append(model)

    def should_stop(self, task: TrialTask) -> bool:
        del task
        return self.stop_after is not None and len(self.measurements) >= self.stop_after

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        del task
        self.offered.append(value)
        return self.keep

    @property
    def outcome(self) -> Outcome:
        (outcome,) = self.outcomes
        return outcome

    def curve(self, metric: str) -> list[float | None]:
        return [measurement.metrics[metric] for measurement in self.measurements]


Builtin = Callable[[str], Stored]
Store = Callable[..., Stored]
MakeTask = Callable[..., TrialTask]
Run = Callable[..., Memory]
