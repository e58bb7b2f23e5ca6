"""Two curves of one trial side by side: as stored, and as plain Keras makes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from hpsearch.cli.display.formatting import number
from hpsearch.domain.trial import Measurement
from hpsearch.wire.pages import StudyView, TrialView

# Not measured but given.
_NO_METRICS: Final = frozenset({"learning_rate", "fold"})
_WIDTH: Final = 12


@dataclass(frozen=True)
class Comparison:
    """The stored curve of a trial against the reference.

    Attributes:
        title: Names the trial.
        metric: The objective.
        has_dropout: Whether the trial drops units, which fused training and Keras draw differently.
        stored: Every epoch, in order.
        reference: Likewise.
    """

    title: str
    metric: str
    has_dropout: bool
    stored: Sequence[Measurement]
    reference: Sequence[Measurement]

    @classmethod
    def of(
        cls, trial: TrialView, study: StudyView, stored: Sequence[Measurement], reference: Sequence[Measurement]
    ) -> Self:
        """Return the comparison of a trial of a study."""
        has_dropout = any(trial.params.get(name) for name in ("dropout", "input_dropout"))
        return cls(f"trial {trial.number} of {study.name!r}", study.resolved.metric, has_dropout, stored, reference)

    @property
    def objective_difference(self) -> float:
        """Largest difference of the objective at any epoch; infinite if one curve is longer, or undefined alone."""
        if len(self.stored) != len(self.reference):
            return float("inf")
        name = self.metric if self.metric in self.stored[0].metrics else "train_loss"
        return self.differences()[name][0]

    def differences(self) -> dict[str, tuple[float, int]]:
        """Return, for each metric, the largest difference over the epochs both curves have, and its epoch."""
        found: dict[str, tuple[float, int]] = {}
        for mine, other in zip(self.stored, self.reference, strict=False):
            for name, value in mine.metrics.items():
                if name in _NO_METRICS or name not in other.metrics:
                    continue
                apart = _apart(value, other.metrics[name])
                if name not in found or apart > found[name][0]:
                    found[name] = apart, mine.epoch
        return found

    def document(self) -> dict[str, Any]:
        """Return both curves and their differences, JSON-safe."""
        return {
            "metric": self.metric,
            "stored": [measurement.model_dump(mode="json") for measurement in self.stored],
            "reference": [measurement.model_dump(mode="json") for measurement in self.reference],
            "differences": {
                name: {"largest": apart if apart < float("inf") else None, "epoch": epoch}
                for name, (apart, epoch) in self.differences().items()
            },
        }

    def lines(self) -> Iterator[str]:
        """Yield what a person reads."""
        yield f"{self.title}: {len(self.stored)} epochs stored, {len(self.reference)} by plain Keras"
        names = [name for name in dict.fromkeys((self.metric, "loss", "train_loss")) if name in self.stored[0].metrics]
        yield "epoch" + "".join(f"{name:>{2 * _WIDTH}}" for name in names)
        yield "     " + f"{'stored':>{_WIDTH}}{'Keras':>{_WIDTH}}" * len(names)
        for position in range(max(len(self.stored), len(self.reference))):
            sides = [curve[position] if position < len(curve) else None for curve in (self.stored, self.reference)]
            cells = "".join(
                f"{'' if side is None else number(side.metrics.get(name), 6):>{_WIDTH}}"
                for name in names
                for side in sides
            )
            yield f"{position + 1:5d}{cells}"
        yield "largest differences"
        for name, (apart, epoch) in sorted(self.differences().items()):
            yield f"  {name:<20}{apart:9.2e}  at epoch {epoch}"
        if self.has_dropout:
            yield "Fused training draws other dropout masks than Keras, so the curves differ as those of two seeds do."


def _apart(left: float | None, right: float | None) -> float:
    if left is None or right is None:
        return 0.0 if left is right else float("inf")
    return abs(left - right)
