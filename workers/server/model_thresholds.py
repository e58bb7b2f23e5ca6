"""The value a trial must beat for its model to be kept, by study, as the server last replied."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from hpsearch.domain.lifecycle import ALWAYS_KEPT
from hpsearch.wire.claims import ClaimedTrial, StudyBrief


class ModelThresholds:
    """The value to beat, by study; a study without one keeps every model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, float | None] = {}

    def update(self, study_ids: Iterable[str], values: Mapping[str, float]) -> None:
        """Take the values of some studies from a reply; those without one have none."""
        with self._lock:
            for study_id in study_ids:
                self._values[study_id] = values.get(study_id)

    def set(self, study_id: str, value: float | None) -> None:
        """Take the value of one study."""
        with self._lock:
            self._values[study_id] = value

    def of(self, study_id: str) -> float | None:
        """Return the value to beat, or None."""
        with self._lock:
            return self._values.get(study_id)

    def keeps(self, trial: ClaimedTrial, study: StudyBrief, value: float) -> bool:
        """Return whether the model of a finished trial is wanted; those of baselines and refits always are."""
        threshold = self.of(study.study_id)
        if threshold is None or trial.kind in ALWAYS_KEPT:
            return True
        return study.objective.better(value, threshold)
