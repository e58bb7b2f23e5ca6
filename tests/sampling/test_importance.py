"""Importances: what decided comes first, conditions are weighed where they hold, and nothing is made up."""

from __future__ import annotations

import random

import pytest

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.space import Space
from hpsearch.sampling.background import BackgroundSampler
from hpsearch.sampling.importance import MIN_RESULTS, ImportanceRequest, importances
from hpsearch.sampling.request import Observation

SPACE = Space.model_validate(
    {
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
        "dropout": {"type": "float", "low": 0.0, "high": 0.6},
        "units": {"type": "int", "low": 8, "high": 64, "steps": 4},
        "optimizer": {"type": "categorical", "choices": ["adam", "nesterov"]},
        "momentum": {"type": "float", "low": 0.5, "high": 0.9, "when": {"optimizer": ["nesterov"]}},
        "batch_norm": True,
    }
)
_UNITS = SPACE.flat()["units"].values or ()


def _asked(n: int, value: object = None) -> ImportanceRequest:
    draw, observations = random.Random(1), []
    for _ in range(n):
        point = {
            "learning_rate": 10 ** draw.uniform(-4, -1),
            "dropout": draw.uniform(0, 0.6),
            "units": draw.choice(_UNITS),
            "optimizer": draw.choice(["adam", "nesterov"]),
            "batch_norm": True,
        }
        if point["optimizer"] == "nesterov":
            point["momentum"] = draw.uniform(0.5, 0.9)
        quality = 1 - abs(point["dropout"] - 0.2) + 0.001 * draw.random() if value is None else value
        observations.append(Observation(point, TrialState.COMPLETE, quality))
    return ImportanceRequest(SPACE, "maximize", tuple(observations))


def test_what_decided_comes_first() -> None:
    shares = importances(_asked(300))
    assert shares[0].name == "dropout"
    assert shares[0].share > 0.5
    assert {one.name for one in shares} == {"learning_rate", "dropout", "units", "optimizer", "momentum"}
    assert sum(one.share for one in shares) == pytest.approx(1)
    active = {one.name: one.n_results for one in shares}
    assert active["dropout"] == 300
    assert 100 < active["momentum"] < 200


def test_the_direction_matters() -> None:
    asked = _asked(300)
    turned = tuple(Observation(one.params, one.state, -(one.value or 0.0)) for one in asked.observations)
    there = {one.name: one.share for one in importances(asked)}
    back = {one.name: one.share for one in importances(ImportanceRequest(SPACE, "minimize", turned))}
    assert there == pytest.approx(back)


def test_nothing_is_made_up() -> None:
    assert importances(_asked(MIN_RESULTS - 1)) == []
    assert importances(_asked(50, value=0.5)) == []
    fixed = Space.model_validate({"units": 8})
    known = tuple(Observation({"units": 8}, TrialState.COMPLETE, i / 50) for i in range(50))
    assert importances(ImportanceRequest(fixed, "maximize", known)) == []


def test_what_is_no_result_or_no_member_is_left_out() -> None:
    asked = _asked(40)
    odd = (
        Observation(asked.observations[0].params, TrialState.INFEASIBLE, None),
        Observation(asked.observations[0].params, TrialState.COMPLETE, float("inf")),
        Observation({"layers": 0}, TrialState.COMPLETE, 0.99),
    )
    assert importances(ImportanceRequest(SPACE, "maximize", asked.observations + odd)) == importances(asked)


def test_the_background_process_answers_the_same() -> None:
    sampler = BackgroundSampler()
    try:
        assert sampler.importances("s", _asked(60), timeout_s=60) == importances(_asked(60))
    finally:
        sampler.close()
