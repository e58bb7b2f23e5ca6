"""Bayesian search is worth its name: on a conditional function it beats random search by a clear margin."""

from __future__ import annotations

import math
from statistics import mean
from typing import Final

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.metrics import Direction
from hpsearch.domain.space import Space
from hpsearch.domain.study import Algorithm
from hpsearch.domain.trial import Params
from hpsearch.sampling.request import NetworkShape, Observation, SuggestRequest
from hpsearch.sampling.suggest import suggest

SHAPE: Final = NetworkShape(n_inputs=64, n_outputs=10, max_weights=None)
N_TRIALS: Final = 60
SPACE: Final = Space.model_validate(
    {
        "layers": {"type": "int", "low": 1, "high": 4},
        "units": {"type": "int", "low": 16, "high": 512, "log": True, "per_layer": True},
        "activation": {"type": "categorical", "choices": ["sigmoid", "tanh", "relu"]},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.3, "log": True},
        "weight_decay": {"type": "float", "low": 1e-7, "high": 1e-2, "log": True},
        "dropout": {"type": "float", "low": 0.0, "high": 0.6},
        "optimizer": {"type": "categorical", "choices": ["sgd", "momentum", "adam", "rmsprop"]},
        "momentum": {"type": "float", "low": 0.5, "high": 0.99, "when": {"optimizer": ["momentum"]}},
        "batch_size": {"values": [32, 64, 128, 256]},
    }
)


def regret(p: Params) -> float:
    """Return 0 at the best network, more anywhere else; the best step depends on the optimiser and the depth."""
    number = {name: float(value) for name, value in p.items() if not isinstance(value, str)}
    step = {"sgd": -1.0, "momentum": -1.6, "adam": -2.6, "rmsprop": -2.9}[str(p["optimizer"])] - 0.1 * number["layers"]
    widths = [number[f"units_{i + 1}"] for i in range(int(number["layers"]))]
    return (
        0.5 * (math.log10(number["learning_rate"]) - step) ** 2
        + 0.15 * abs(number["layers"] - 3)
        + 0.1 * mean((math.log2(width) - 7) ** 2 for width in widths)
        + {"relu": 0.0, "tanh": 0.1, "sigmoid": 0.5}[str(p["activation"])]
        + (2 * (number.get("momentum", 0.9) - 0.9)) ** 2
        + {"momentum": 0.0, "adam": 0.05, "sgd": 0.2, "rmsprop": 0.15}[str(p["optimizer"])]
        + (number["dropout"] - 0.2) ** 2
        + 0.01 * (math.log10(number["weight_decay"]) + 4.5) ** 2
        + 0.02 * abs(math.log2(number["batch_size"]) - 6)
    )


def searched(kind: str, seed: int, *, direction: Direction = "minimize", n_trials: int = N_TRIALS) -> list[float]:
    """Return the regrets of a study, in order, that always keeps two trials open."""
    sign = 1.0 if direction == "minimize" else -1.0
    algorithm = Algorithm.model_validate({"kind": kind, "seed": seed})
    points: list[Params] = []
    while len(points) < n_trials:
        seen = [Observation(p, TrialState.COMPLETE, sign * regret(p)) for p in points[:-1]]
        running = [Observation(p, TrialState.RUNNING, None) for p in points[-1:]]
        asked = SuggestRequest(SPACE, algorithm, SHAPE, direction, 1, len(points), N_TRIALS, (*seen, *running))
        points += suggest(asked)
    return [regret(p) for p in points]


def test_beats_random_search():
    """The mean regret after 60 trials is at most 60 % of random search's (measured over 20 seeds: 35 %)."""
    random = [min(searched("random", seed)) for seed in range(20)]
    histories = [searched("bayesian", seed) for seed in range(4)]
    assert mean(map(min, histories)) < 0.6 * mean(random)
    for history in histories:
        # What it tries, not only the best of it, gets better: the model has learnt where to look.
        assert mean(history[-20:]) < 0.5 * mean(history[1:10])


def test_larger_is_better_where_the_study_says_so():
    assert searched("bayesian", 3, n_trials=20, direction="maximize") == searched("bayesian", 3, n_trials=20)
