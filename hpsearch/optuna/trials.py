"""Trials as Optuna's frozen trials."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.trial import Trial

# Diverged and out of memory are results here, but not to Optuna: it knows values or failures.
STATES: Final = {
    TrialState.WAITING: OptunaState.WAITING,
    TrialState.RUNNING: OptunaState.RUNNING,
    TrialState.COMPLETE: OptunaState.COMPLETE,
    TrialState.PRUNED: OptunaState.PRUNED,
    TrialState.INFEASIBLE: OptunaState.FAIL,
    TrialState.FAILED: OptunaState.FAIL,
    TrialState.CANCELLED: OptunaState.FAIL,
}


def frozen(
    trial: Trial, distributions: Mapping[str, BaseDistribution], curve: Mapping[int, float], *, trial_id: int
) -> FrozenTrial:
    """Return a search trial as Optuna's.

    Args:
        trial: Of kind `search`.
        distributions: Of the searched parameters; those active in the trial become its params, in its order.
        curve: The objective by epoch.
        trial_id: For Optuna.
    """
    state = STATES[trial.state]
    params = {name: value for name, value in trial.params.items() if name in distributions}
    facts: dict[str, Any] = {
        "hpsearch:trial_id": trial.trial_id,
        "hpsearch:number": trial.number,
        "state": trial.state.value,
        "cause": trial.cause,
        "n_weights": trial.n_weights,
        "best_epoch": trial.best_epoch,
        "device_seconds": trial.device_seconds,
    }
    fixed = {name: value for name, value in trial.params.items() if name not in distributions}
    return FrozenTrial(
        number=trial.number if trial.search_index is None else trial.search_index,
        state=state,
        value=trial.value if state == OptunaState.COMPLETE else None,
        datetime_start=None if state == OptunaState.WAITING else _local(trial.started_at or trial.created_at),
        datetime_complete=_local(trial.ended_at) if state.is_finished() else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs={name: value for name, value in (facts | fixed | dict(trial.metrics)).items() if value is not None},
        system_attrs={},
        intermediate_values=dict(curve),
        trial_id=trial_id,
    )


def _local(at: datetime | None) -> datetime | None:
    """Return an instant as Optuna keeps them: local, without a zone."""
    return None if at is None else at.astimezone().replace(tzinfo=None)
