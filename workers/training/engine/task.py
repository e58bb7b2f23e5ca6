"""TrialTask: everything an engine needs to train one trial, with all downloads done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.wire.claims import ClaimedTrial, StudyBrief


@dataclass(frozen=True)
class TrialTask:
    """One trial to train.

    Attributes:
        trial: Its parameters, seed and kind.
        study: Data split, objective, schedules.
        content: The data set's stored content, a Parquet file on this machine whose digest was verified.
        profile: Columns, classes and target of the content.
        model_path: Where to write the `.keras` file; None when no model is wanted.
    """

    trial: ClaimedTrial
    study: StudyBrief
    content: Path
    profile: DatasetProfile
    model_path: Path | None = None
