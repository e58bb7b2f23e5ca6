"""Which finished trials are good enough for their models to be kept, as the server last said."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from hpsearch.domain.lifecycle import ALWAYS_KEPT
from workers.assignments import Assignment


class ModelThresholds:
    """The value to beat, by study; a study without one keeps every model."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, float] = {}

    def learn(self, study_ids: Iterable[str], said: Mapping[str, float]) -> None:
        """Take what a reply says of the studies it was about."""
        with self._lock:
            for study_id in study_ids:
                if study_id in said:
                    self._values[study_id] = said[study_id]
                else:
                    self._values.pop(study_id, None)

    def of(self, study_id: str) -> float | None:
        """Return the value to beat, or None."""
        with self._lock:
            return self._values.get(study_id)

    def keeps(self, assignment: Assignment, value: float) -> bool:
        """Return whether the model of a finished trial is wanted; those of baselines and refits always are."""
        threshold = self.of(assignment.study.study_id)
        if threshold is None or assignment.trial.kind in ALWAYS_KEPT:
            return True
        return assignment.study.objective.better(value, threshold)
