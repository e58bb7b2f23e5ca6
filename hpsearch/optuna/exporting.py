"""A study as an Optuna study in memory."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import optuna
from optuna.exceptions import ExperimentalWarning

from hpsearch.client.checked import checked_call
from hpsearch.client.objects.study import Study
from hpsearch.domain.lifecycle import FINAL
from hpsearch.optuna.distributions import distributions_of
from hpsearch.optuna.reading import curve_of, search_trials
from hpsearch.optuna.trials import frozen

if TYPE_CHECKING:
    from optuna.study import Study as OptunaStudy


@checked_call
def to_optuna(study: Study, *, intermediate_values: bool = True) -> OptunaStudy:
    """Return an Optuna study in memory with all finished search trials, for its plots, its importances, its samplers.

    Trials that diverged or did not fit are FAIL there, with `state` and `cause` among their user attributes. Baselines
    are left out: they need not lie in the space.

    Args:
        study: Of a server.
        intermediate_values: Fetch the objective of every epoch, too, with a request for each trial.
    """
    view = study.refresh().view
    client = study.client
    distributions = distributions_of(view.definition.space)
    found = optuna.create_study(direction=view.resolved.direction, study_name=view.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # since Optuna 3.2
        found.set_metric_names([view.resolved.metric])
    found.set_user_attr("hpsearch:study_id", view.study_id)
    ended = [trial for trial in search_trials(client, view.study_id) if trial.state in FINAL]
    found.add_trials(
        [
            frozen(trial, distributions, curve_of(client, trial, view) if intermediate_values else {}, trial_id=-1)
            for trial in ended
        ]
    )
    return found
