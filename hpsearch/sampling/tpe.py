"""The bridge to Optuna's tree-structured Parzen estimator: our observations in, one point out.

Nothing of Optuna's own storage is kept: a study in memory is built from the observations for each request, open trials
are entered as RUNNING so that the constant liar keeps later picks away, and the trial Optuna hands out is closed at
once in favour of the point that is really tried (which a weight limit may have changed).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.metrics import Direction
from hpsearch.domain.objective import sort_key
from hpsearch.domain.parameters import FloatParameter, IntParameter, key
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import CompiledSpace, Slot
from hpsearch.sampling.draw import ordinal
from hpsearch.sampling.request import Observation

# Above this many, the model sees the best and the newest alone. TPE itself takes at most 25 trials as good and weighs
# the others down with age, so that little is lost; a suggestion stays at about 0.1 s of CPU instead of growing on.
MAX_TAUGHT: Final = 1_000
# For large batches fewer still, so that a batch of any size takes seconds: results times picks stay below this.
_MAX_WORK: Final = 32_000
_MIN_TAUGHT: Final = 125
# The share of them kept for being the best; the others are the newest.
_BEST_FRACTION: Final = 0.2

_OPEN: Final = frozenset({TrialState.WAITING, TrialState.RUNNING})
_BAD: Final = frozenset({TrialState.INFEASIBLE, TrialState.FAILED})

optuna.logging.set_verbosity(optuna.logging.ERROR)


# Optuna copies every trial it is given, and most of that time goes into its distributions, which never change.
class _Float(FloatDistribution):
    def __deepcopy__(self, memo: dict[int, Any]) -> _Float:
        return self


class _Int(IntDistribution):
    def __deepcopy__(self, memo: dict[int, Any]) -> _Int:
        return self


class _Categorical(CategoricalDistribution):
    def __deepcopy__(self, memo: dict[int, Any]) -> _Categorical:
        return self


class _Axis:
    """One searched parameter as Optuna sees it.

    Ranges stay ranges. Listed numbers and steps become their rank, so that their order is kept; other choices become
    places without an order.
    """

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self._rungs = slot.ladder
        self._rank = {key(rung): i for i, rung in enumerate(self._rungs or ())}
        self.distribution = self._distribution()

    def _distribution(self) -> BaseDistribution:
        if self._rungs is not None:
            n = len(self._rungs)
            return _Int(0, n - 1) if ordinal(self.slot) else _Categorical(tuple(range(n)))
        if isinstance(self.slot.parameter, FloatParameter):
            return _Float(self.slot.parameter.low, self.slot.parameter.high, log=self.slot.parameter.log)
        if isinstance(self.slot.parameter, IntParameter):
            return _Int(self.slot.parameter.low, self.slot.parameter.high, log=self.slot.parameter.log)
        msg = f"{self.slot.name} is not searched"
        raise TypeError(msg)

    def to_optuna(self, value: Scalar) -> Scalar:
        return value if self._rungs is None else self._rank[key(value)]

    def from_optuna(self, value: Any) -> Scalar:
        if self._rungs is not None:
            return self._rungs[int(value)]
        if isinstance(self.slot.parameter, IntParameter):
            return int(value)
        # The exponential of a logarithm may miss a bound by rounding.
        return min(max(float(value), self.slot.parameter.low), self.slot.parameter.high)  # type: ignore[union-attr]


class TpeModel:
    """What TPE has learnt from one set of observations.

    Args:
        space: The space.
        direction: Whether larger or smaller is better.
        observations: Of points in the space's own spelling (`CompiledSpace.own`), oldest first. INFEASIBLE and FAILED
            count as the worst value seen; open ones repel.
        n_picks: How often it will be asked; many picks are made from fewer results.
    """

    def __init__(
        self, space: CompiledSpace, direction: Direction, observations: Sequence[Observation], n_picks: int = 1
    ) -> None:
        self._space = space
        self._axes = {slot.name: _Axis(slot) for slot in space.searched}
        self._distributions = {name: axis.distribution for name, axis in self._axes.items()}
        self._study = optuna.create_study(direction=direction)
        worst = _worst(observations, direction)
        taught = [o for o in observations if o.state not in _OPEN and o.state is not TrialState.CANCELLED]
        told = most_telling(taught, direction, taught_at_most(n_picks))
        self._study.add_trials([self._finished(observation, worst) for observation in told])
        for observation in observations:
            if observation.state in _OPEN:
                self.open(observation.params)

    def open(self, params: Params) -> None:
        """Tell that a point is being tried."""
        self._study.add_trial(self._trial(params, OptunaState.RUNNING))

    def ask(self, seed: int) -> tuple[Params, Params]:
        """Return the point to try next, and what the model would have for every parameter, active there or not.

        The point may break the weight limit and may have been tried.

        Args:
            seed: Decides the draws from the model, 0 to 2^32 - 1.
        """
        self._study.sampler = _sampler(seed)
        trial = self._study.ask(self._distributions)
        # Closed as failed, which Optuna's model ignores: what is really tried is told by `open`.
        self._study.tell(trial, state=OptunaState.FAIL)
        drawn = {name: axis.from_optuna(trial.params[name]) for name, axis in self._axes.items()}
        params: Params = {}
        for slot in self._space.slots:
            if slot.active(params):
                params[slot.name] = drawn[slot.name] if slot.searched else (slot.values or ())[0]
        return params, drawn

    def _finished(self, observation: Observation, worst: float) -> FrozenTrial:
        value = observation.value if _finite(observation) else None
        if observation.state is TrialState.PRUNED:
            return self._trial(
                observation.params, OptunaState.PRUNED, intermediate_values={} if value is None else {1: value}
            )
        if observation.state in _BAD or value is None:
            value = worst
        return self._trial(observation.params, OptunaState.COMPLETE, value=value)

    def _trial(self, params: Mapping[str, Scalar], state: OptunaState, **result: Any) -> FrozenTrial:
        known = {name: axis.to_optuna(params[name]) for name, axis in self._axes.items() if name in params}
        distributions = {name: self._distributions[name] for name in known}
        return create_trial(state=state, params=known, distributions=distributions, **result)


def taught_at_most(n_picks: int) -> int:
    """Return how many results the model is built from at most, for one batch of this many picks."""
    return max(_MIN_TAUGHT, min(MAX_TAUGHT, _MAX_WORK // n_picks))


def most_telling(observations: Sequence[Observation], direction: Direction, n: int) -> list[Observation]:
    """Return at most n observations to build a model from, in the order given: the best fifth and the newest others."""
    if len(observations) <= n:
        return list(observations)
    ranked = sorted(
        (i for i, o in enumerate(observations) if o.state is TrialState.COMPLETE and _finite(o)),
        key=lambda i: sort_key(observations[i].value or 0.0, direction),
    )
    best = set(ranked[: int(_BEST_FRACTION * n)])
    newest = [i for i in range(len(observations)) if i not in best][-(n - len(best)) :]
    return [observations[i] for i in sorted([*best, *newest])]


def _finite(observation: Observation) -> bool:
    return observation.value is not None and math.isfinite(observation.value)


def _worst(observations: Sequence[Observation], direction: Direction) -> float:
    """Return the worst value seen; 0 where there is none (all are alike then)."""
    known = (TrialState.COMPLETE, TrialState.PRUNED)
    values = [o.value for o in observations if o.value is not None and _finite(o) and o.state in known]
    return max(values, key=lambda value: sort_key(value, direction), default=0.0)


def _sampler(seed: int) -> optuna.samplers.TPESampler:
    with warnings.catch_warnings():
        # `group` has been experimental since Optuna 2.8; without it a conditional space is modelled one by one.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=0, multivariate=True, group=True, constant_liar=True
        )
