"""Reads from a server what becomes Optuna's trials."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.client.client import Client
from hpsearch.domain.trial import Trial
from hpsearch.wire.pages import StudyView

_PAGE: int = 500


def search_trials(client: Client, study_id: str) -> Iterator[Trial]:
    """Iterate over a study's search trials by number; its other kinds have no place in Optuna."""
    return client.studies.all_trials(study_id, kind="search", sort="number", order="asc", limit=_PAGE)


def curve_of(client: Client, trial: Trial, study: StudyView) -> dict[int, float]:
    """Return a trial's objective by epoch; empty for one that has not begun."""
    if trial.attempt == 0:
        return {}
    metric = study.resolved.metric
    found = client.trials.all_measurements(trial.trial_id)
    return {one.epoch: value for one in found if (value := one.metrics.get(metric)) is not None}
