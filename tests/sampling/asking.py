"""Requests of Bayesian search and results to learn from, for its tests."""

from __future__ import annotations

import math
from typing import Any

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.space import Space
from hpsearch.domain.study import Algorithm, AlgorithmOptions
from hpsearch.domain.trial import Params
from hpsearch.sampling.request import NetworkShape, Observation, SuggestRequest
from tests.sampling.spaces import space

ANY = NetworkShape(n_inputs=8, n_outputs=2, max_weights=None)
STEP = space({"learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}})
PLANE = space({name: {"type": "float", "low": 0.0, "high": 0.9} for name in ("dropout", "input_dropout")})
COMPLETE, PRUNED, INFEASIBLE = TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE
FAILED, RUNNING, WAITING = TrialState.FAILED, TrialState.RUNNING, TrialState.WAITING


def asking(
    of: Space, *observations: Observation, n: int = 1, index: int | None = None, **options: Any
) -> SuggestRequest:
    algorithm = Algorithm(seed=5, options=AlgorithmOptions(**options))
    first = len(observations) if index is None else index
    return SuggestRequest(of, algorithm, ANY, "minimize", n, first, 100, observations)


def observe(state: TrialState, value: float | None = None, **params: Any) -> Observation:
    return Observation(params, state, value)


def spread(n: int) -> list[float]:
    """Return n shares evenly from 0 to 1, in an order without a trend."""
    return [(i * 0.6180339887) % 1 for i in range(n)]


def history(of: Space, n: int, value: Any, *, state: Any = lambda _: COMPLETE) -> list[Observation]:
    name = next(iter(of.root))
    parameter: Any = of.root[name]
    found = []
    for u in spread(n):
        x = parameter.low * (parameter.high / parameter.low) ** u if parameter.log else parameter.high * u
        found.append(Observation({name: x}, state(u), value(u)))
    return found


def shares(points: list[Params]) -> list[float]:
    """Return where learning rates lie between the bounds of STEP, 0 to 1."""
    return [(math.log10(float(p["learning_rate"])) + 4) / 3 for p in points]
