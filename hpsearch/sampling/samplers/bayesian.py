"""Bayesian search: a space-filling start, then TPE over the results; every point within the space and its limit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from hpsearch.domain.layer_widths import is_width, layer_of
from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import CompiledSpace, compile_space
from hpsearch.sampling.explore import first_point, n_startup
from hpsearch.sampling.limit import Limit
from hpsearch.sampling.novelty import Novelty
from hpsearch.sampling.request import Observation, SuggestRequest
from hpsearch.sampling.samplers.base import BaseSampler
from hpsearch.sampling.uniform import Stream, raw_words

if TYPE_CHECKING:
    from hpsearch.sampling.tpe import TpeModel

_TEACHING = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE, TrialState.FAILED})


class BayesianSampler(BaseSampler):
    """Optuna's TPE after a space-filling start."""

    def suggest(self, request: SuggestRequest) -> list[Params]:
        """Return the next points; the order of the observations counts only as their age.

        Each pick is entered as an open trial before the next one (constant liar), so that a batch spreads out.

        Raises:
            InvalidStudyError: No point of the space obeys the weight limit.
        """
        limit = Limit(compile_space(request.space), request.shape)
        known = list(_inside(limit.space, request.observations))
        novelty = Novelty(request.space, limit, (observation.params for observation in known))
        picker = _Picker(request, limit, known)
        found: list[Params] = []
        for index in range(request.first_index, request.first_index + request.n):
            wanted, drawn = picker.pick(index)
            params = novelty.fresh(wanted, request.algorithm.seed, index, drawn)
            novelty.add(params)
            picker.open(params)
            found.append(params)
        return found

    def explores(self, request: SuggestRequest) -> bool:
        """Return whether no point asked for can come from the model: then the answer needs no Optuna.

        False where only a closer look can tell: an observation outside the space does not count as a result.
        """
        n_first = n_startup(request)
        n_taught = sum(observation.state in _TEACHING for observation in request.observations)
        return n_taught < max(1, n_first // 2) or (n_taught < n_first and request.first_index + request.n <= n_first)


SAMPLER: Final = BayesianSampler()


class _Picker:
    def __init__(self, request: SuggestRequest, limit: Limit, known: list[Observation]) -> None:
        self._request = request
        self._limit = limit
        self._known = known
        self._n_startup = n_startup(request)
        self._n_taught = sum(observation.state in _TEACHING for observation in known)
        self._model: TpeModel | None = None

    def pick(self, index: int) -> tuple[Params, Params]:
        """Return the point for this index, and what the model says of the parameters that are not active there."""
        seed = self._request.algorithm.seed
        if self._explores(index):
            return first_point(self._limit, seed, index, self._n_startup), {}
        if self._model is None:
            from hpsearch.sampling.tpe import TpeModel  # noqa: PLC0415 - only who asks the model pays for Optuna

            self._model = TpeModel(self._limit.space, self._request.direction, self._known, self._request.n)
        params, drawn = self._model.ask(int(raw_words(1, seed, index, Stream.MODEL)[0]) % 2**32)
        return self._limit.repair(params), drawn

    def _explores(self, index: int) -> bool:
        """Whether it is too early for the model: by the budget, or because too few results are known."""
        if self._n_taught < max(1, self._n_startup // 2):
            return True
        return index < self._n_startup and self._n_taught < self._n_startup

    def open(self, params: Params) -> None:
        self._known.append(Observation(params, TrialState.WAITING, None))
        if self._model is not None:
            self._model.open(params)


def _inside(space: CompiledSpace, observations: Iterable[Observation]) -> Iterator[Observation]:
    """Yield the observations that are points of the space, in its own spelling."""
    for observation in observations:
        params = space.own(observation.params)
        if params is None:
            params = _expressed(space, observation.params)
        if params is not None:
            yield Observation(params, observation.state, observation.value)


def _expressed(space: CompiledSpace, params: Params) -> Params | None:
    """Return the network a baseline describes in this space's parameters; None if the space does not hold it."""
    try:
        network = MlpConfig.from_params(params)
        point: Params = {}
        for slot in space.slots:
            value = _value_in(network, slot.name)
            if slot.active(point) and value is not None:
                point[slot.name] = value
        own = space.own(point)
        return own if own is not None and _alike(MlpConfig.from_params(own), network) else None
    except ValueError:
        return None


def _alike(left: MlpConfig, right: MlpConfig) -> bool:
    """Return whether two networks are the same but for the rounding of steps."""
    pairs = ((getattr(left, name), getattr(right, name)) for name in MlpConfig.model_fields)
    return all(
        math.isclose(a, b, rel_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else a == b for a, b in pairs
    )


def _value_in(network: MlpConfig, name: str) -> Scalar | None:
    if name == "layers":
        return len(network.units)
    if is_width(name):
        layer = layer_of(name) or 1
        return network.units[layer - 1] if layer <= len(network.units) else None
    value: Scalar | None = getattr(network, name)
    return value
