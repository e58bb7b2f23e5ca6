"""An Optuna study as a study of this server: its space, and its best points enqueued first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from hpsearch.client.checked import checked_call
from hpsearch.client.client import Client
from hpsearch.client.objects.study import Study
from hpsearch.domain.metrics import direction_of
from hpsearch.domain.parameters import same
from hpsearch.errors import InvalidInputError, InvalidStudyError
from hpsearch.optuna.distributions import parameter_of

_MAX_VALUES: Final = 1_000


@checked_call
def import_study(
    client: Client,
    study: optuna.Study,
    *,
    rename: Mapping[str, str] | None = None,
    n_best: int = 10,
    name: str | None = None,
    max_trials: int | None = None,
    **fields: Any,
) -> Study:
    """Return a new study that searches the space of an Optuna study, its best points first.

    The values of Optuna's trials do not come along: they were measured with other splits, schedules and code, and a
    leaderboard must compare like with like. The best points are trained again, here, and the search goes on from there.

    Args:
        client: Of the server.
        study: Optuna's, with one objective and at least one complete trial.
        rename: From Optuna's names of parameters to ours (see the definition's `space`), such as
            `{"lr": "learning_rate", "n_units_l0": "units_1"}`; a name that is left out stays.
        n_best: Points to try first, at least 0; those with equal params count once.
        name: Of the new study; that of Optuna's when left out.
        max_trials: Search trials of the new study, the first points included; as many as Optuna's has complete ones
            when left out, and at least 20 more than there are first points.
        fields: Further fields of the definition, and `data`, `y` and `target`, as for `Client.create`.

    Raises:
        InvalidInputError: The Optuna study has several objectives, no complete trial, or a choice that can not stand in
            a study.
        InvalidStudyError: A parameter is none of a multilayer perceptron's, or it can not be seen when it is active.
    """
    if len(study.directions) != 1:
        msg = f"import_study: the Optuna study has {len(study.directions)} objectives; expected one"
        raise InvalidInputError(msg, code="optuna.objectives")
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        msg = "import_study: the Optuna study has no complete trial, so neither its space nor a good point is known"
        raise InvalidInputError(msg, code="optuna.empty")
    sign = 1 if study.direction == optuna.study.StudyDirection.MINIMIZE else -1
    ranked = sorted(complete, key=lambda trial: sign * (trial.value or 0.0))
    names = dict(rename or {})
    best = _distinct([_renamed(trial.params, names) for trial in ranked])[: max(0, n_best)]
    budget = {"max_trials": max_trials or max(len(complete), len(best) + 20)}
    metric = (fields.get("objective") or {}).get("metric")
    if metric is not None and direction_of(metric) != study.direction.name.lower():
        msg = f"import_study: {metric} is better when you {direction_of(metric)} it, but the Optuna study does not"
        raise InvalidInputError(msg, code="optuna.direction")
    made = client.create(
        {"name": name or study.study_name, "space": _space(complete, names), "budget": budget, "baselines": False}
        | {key: fields.pop(key) for key in list(fields) if key not in ("data", "y", "target")},
        **fields,
    )
    for params in best:
        made.enqueue(params)
    return made


def _renamed(params: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in params.items()}


def _distinct(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for point in points:
        if point not in found:
            found.append(point)
    return found


def _space(trials: Sequence[FrozenTrial], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the space of the trials, with a condition on each parameter that some of them lack."""
    distributions: dict[str, BaseDistribution] = {}
    for trial in trials:
        distributions |= _renamed(trial.distributions, names)
    points = [_renamed(trial.params, names) for trial in trials]
    space: dict[str, Any] = {}
    for name, distribution in distributions.items():
        space[name] = parameter_of(name, distribution)
        if any(name not in point for point in points):
            space[name]["when"] = _condition(name, points)
    return space


def _condition(name: str, points: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the one other parameter, and its values, with which the parameter was always there and never without.

    Raises:
        InvalidStudyError: There is no such parameter.
    """
    for parent in points[0]:
        if parent == name or any(parent not in point for point in points):
            continue
        with_it: list[Any] = []
        without: list[Any] = []
        for point in points:
            values = with_it if name in point else without
            if not any(same(point[parent], value) for value in values):
                values.append(point[parent])
        apart = not any(same(one, other) for one in with_it for other in without)
        if apart and len(with_it) <= _MAX_VALUES:
            return {parent: with_it}
    msg = (
        f"import_study: {name} is missing from some of Optuna's trials, and no single other parameter tells from "
        "which; make the study yourself, with a `when` for it"
    )
    raise InvalidStudyError(msg, code="optuna.condition")
