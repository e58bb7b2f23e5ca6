"""How much each parameter decided whether a result was good: PED-ANOVA, as Optuna computes it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.metrics import Direction
from hpsearch.domain.parameters import FloatParameter, IntParameter, key
from hpsearch.domain.space import Space
from hpsearch.domain.strict import Scalar
from hpsearch.sampling.compiled_space import Slot, compile_space
from hpsearch.sampling.request import Observation

# Below this many results the best of them are too few to be compared with anything.
MIN_RESULTS: Final = 10
# More results change the shares by less than they are rounded to, and cost time.
MAX_RESULTS: Final = 1_000
_BEST_FRACTION: Final = 0.1
_MIN_BEST: Final = 5


@dataclass(frozen=True)
class ImportanceRequest:
    """A question for the importances of a space.

    Attributes:
        space: The search space.
        direction: Whether larger or smaller values are better.
        observations: Finished results, at most `MAX_RESULTS`; those without a finite value are left out.
    """

    space: Space
    direction: Direction
    observations: tuple[Observation, ...]


@dataclass(frozen=True)
class Share:
    """A parameter's share of all importance, 0 to 1, and in how many results it was active."""

    name: str
    share: float
    n_results: int


def importances(request: ImportanceRequest) -> list[Share]:
    """Return the shares of the searched parameters, the largest first; empty when nothing can be told.

    Nothing can be told from fewer than `MIN_RESULTS` results, or when all of them are equally good. A parameter that is
    active only under conditions is weighed among the results in which it was.
    """
    prepared = compile_space(request.space)
    slots = {slot.name: slot for slot in prepared.searched}
    rows = [(point, o.value) for o in request.observations if (point := _usable(prepared, o)) is not None]
    if len(rows) < MIN_RESULTS or not slots:
        return []
    raw = _ped_anova(slots, [(point, float(value or 0.0)) for point, value in rows], request.direction)
    total = sum(raw.values())
    if total <= 0 or not math.isfinite(total):
        return []
    shares = [
        Share(name, raw.get(name, 0.0) / total, sum(name in point for point, _ in rows))
        for name in slots
    ]  # fmt: skip
    return sorted(shares, key=lambda one: -one.share)


def _usable(prepared: Any, observation: Observation) -> dict[str, Scalar] | None:
    if (
        observation.state is not TrialState.COMPLETE
        or observation.value is None
        or not math.isfinite(observation.value)
    ):
        return None
    point: dict[str, Scalar] | None = prepared.own(observation.params)
    return point


def _ped_anova(
    slots: dict[str, Slot], rows: Sequence[tuple[dict[str, Scalar], float]], direction: Direction
) -> dict[str, float]:
    import optuna  # noqa: PLC0415 - takes a second to import; this module's types are used where it must not be
    from optuna.importance import PedAnovaImportanceEvaluator  # noqa: PLC0415
    from optuna.trial import create_trial  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {name: _axis(optuna.distributions, slot) for name, slot in slots.items()}
        study = optuna.create_study(direction=direction)
        for point, value in rows:
            known = {name: axes[name][1](point[name]) for name in axes if name in point}
            distributions = {name: axes[name][0] for name in known}
            study.add_trial(create_trial(params=known, distributions=distributions, value=value))
        fraction = min(0.5, max(_BEST_FRACTION, _MIN_BEST / len(rows)))
        return dict(PedAnovaImportanceEvaluator(target_quantile=fraction).evaluate(study))


def _axis(distributions: Any, slot: Slot) -> tuple[Any, Any]:
    """Return Optuna's distribution of a parameter and what turns our values into its."""
    parameter = slot.parameter
    if slot.values is None or (isinstance(parameter, IntParameter) and parameter.steps is None):
        if isinstance(parameter, FloatParameter):
            return distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log), float
        if isinstance(parameter, IntParameter):
            return distributions.IntDistribution(parameter.low, parameter.high, log=parameter.log), int
    values = slot.values or ()
    rank = {key(value): i for i, value in enumerate(values)}
    numeric = isinstance(parameter, FloatParameter | IntParameter)
    kind = (
        distributions.IntDistribution(0, len(values) - 1)
        if numeric
        else distributions.CategoricalDistribution(tuple(range(len(values))))
    )
    return kind, lambda value: rank[key(value)]
