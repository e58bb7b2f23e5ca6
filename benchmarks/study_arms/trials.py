"""TrialEnd: what both sides tell about each of their trials."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended.

    Attributes:
        kind: `search`, `baseline`, `confirmation` or `refit`.
        score: In the metric's own unit; None where it came to none.
        epochs: Trained.
        device_s: Seconds that a device, or a core, was busy with it.
        ended_at: Unix time at which its result was stored.
    """

    kind: str
    score: float | None
    epochs: int
    device_s: float
    ended_at: float


def write_trials(trials: Iterable[TrialEnd], path: Path) -> None:
    """Write trials to a file."""
    path.write_text(json.dumps([asdict(trial) for trial in trials]))


def read_trials(path: Path) -> list[TrialEnd]:
    """Return the trials of a file."""
    return [TrialEnd(**stored) for stored in json.loads(path.read_text())]
