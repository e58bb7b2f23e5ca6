"""A point that breaks the weight limit is brought back with as little change as possible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpsearch.domain.space import Space
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidStudyError
from hpsearch.sampling.compiled_space import compile_space
from hpsearch.sampling.limit import Limit
from hpsearch.sampling.request import NetworkShape
from hpsearch.sampling.suggest import n_weights, smallest_network
from tests.sampling.spaces import FINITE, arbitrary, listed, space

SHAPE = NetworkShape(n_inputs=8, n_outputs=2, max_weights=None)
DEEP = space(
    {
        "layers": {"type": "int", "low": 1, "high": 4},
        "units": {"type": "int", "low": 4, "high": 400, "log": True, "per_layer": True},
        "batch_norm": {"values": [True, False]},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    }
)
POINT: Params = {"layers": 3, "units_1": 300, "units_2": 100, "units_3": 20, "batch_norm": True, "dropout": 0.25}


def limit(of: Space, max_weights: int, shape: NetworkShape = SHAPE) -> Limit:
    return Limit(compile_space(of), replace(shape, max_weights=max_weights))


def test_a_point_within_the_limit_is_left_alone():
    assert limit(DEEP, 10**6).repair(POINT) is POINT
    exactly = n_weights(POINT, SHAPE)
    assert limit(DEEP, exactly).repair(POINT) is POINT
    assert limit(DEEP, exactly - 1).repair(POINT) != POINT


@pytest.mark.parametrize("max_weights", [30_000, 10_000, 3_000, 600])
def test_widths_shrink_together_and_nothing_else_changes(max_weights: int):
    repaired = limit(DEEP, max_weights).repair(POINT)
    assert DEEP.complete(repaired) == repaired
    assert {**repaired, **{n: POINT[n] for n in POINT if n.startswith("units_")}} == POINT
    assert repaired["units_1"] > repaired["units_2"] > repaired["units_3"]  # type: ignore[operator]
    assert 0.93 * max_weights < n_weights(repaired, SHAPE) <= max_weights


def test_the_nearest_depth_is_taken_when_even_the_narrowest_is_too_large():
    narrowest = {"layers": 2, "units_1": 4, "units_2": 4, "batch_norm": True, "dropout": 0.25}
    repaired = limit(DEEP, n_weights(narrowest, SHAPE)).repair(POINT)
    assert repaired == narrowest


def test_wide_inputs_may_need_more_layers_not_fewer():
    """A linear model of 1,000 inputs and 10 outputs is larger than one with a narrow layer between them."""
    of = space({"layers": {"type": "int", "low": 0, "high": 2}, "units": {"values": [2, 64]}})
    shape = NetworkShape(1_000, 10, 3_000)
    assert n_weights({"layers": 0}, shape) > 3_000
    assert Limit(compile_space(of), shape).repair({"layers": 0}) == {"layers": 1, "units": 2}
    assert smallest_network(of, shape) == n_weights({"layers": 1, "units": 2}, shape)


@pytest.mark.parametrize("name", FINITE)
def test_smallest_network_is_the_smallest_of_all(name: str):
    of = space(FINITE[name])
    assert smallest_network(of, SHAPE) == min(n_weights(p, SHAPE) for p in listed(of))


@pytest.mark.parametrize("seed", range(60))
def test_repair_and_restriction_obey_wherever_anything_does(seed: int):
    of = arbitrary(seed)
    points = list(listed(of))
    counts = sorted({n_weights(p, SHAPE) for p in points})
    assert smallest_network(of, SHAPE) == counts[0]
    for max_weights in (counts[0], counts[len(counts) // 2]):
        held = limit(of, max_weights)
        for point in points[:: max(1, len(points) // 20)]:
            repaired = held.repair(point)
            assert of.complete(repaired) == repaired
            assert n_weights(repaired, SHAPE) <= max_weights
        for i in range(10):
            restricted = held.restrict({slot.name: (i + 0.5) / 10 for slot in held.space.searched}, i / 9)
            assert of.complete(restricted) == restricted
            assert n_weights(restricted, SHAPE) <= max_weights
    with pytest.raises(InvalidStudyError, match=f"the smallest has {counts[0]:,}"):
        limit(of, counts[0] - 1).repair(points[0])


def test_more_frames_than_can_be_walked_still_lead_to_points_that_obey():
    widths = {
        f"units_{i}": {"values": [64, 2], "when": {parent: values}}
        for i, (parent, values) in enumerate(
            [
                ("optimizer", ["sgd"]),
                ("optimizer", ["adam"]),
                ("activation", ["relu"]),
                ("activation", ["tanh"]),
                ("init", ["auto"]),
                ("init", ["he_normal"]),
                ("batch_size", [16]),
                ("dropout", [0.1]),
                ("momentum", [0.5]),
                ("input_dropout", [0.2]),
            ],
            start=1,
        )
    }
    of = space(
        {
            "layers": {"type": "int", "low": 1, "high": 32},
            "optimizer": {"values": ["sgd", "adam", "adamw"]},
            "activation": {"values": ["relu", "tanh", "elu"]},
            "init": {"values": ["auto", "he_normal", "he_uniform"]},
            "batch_size": {"values": [16, 32]},
            "dropout": {"values": [0.1, 0.2]},
            "momentum": {"values": [0.5, 0.6]},
            "input_dropout": {"values": [0.2, 0.3]},
            "batch_norm": {"values": [True, False]},
            "units": {"values": [64, 3]},
            **widths,
        }
    )
    held = limit(of, 100)
    for i in range(5):
        point = held.restrict({slot.name: (i + 0.5) / 5 for slot in held.space.searched}, i / 4)
        assert n_weights(point, SHAPE) <= 100
        assert of.complete(point) == point


def test_conditions_crossed_beyond_counting_still_lead_to_points_that_obey():
    parents = {f"units_{i}": {"values": [40, 2]} for i in range(1, 25)}
    crossed = {
        f"units_{25 + k}": {"values": [40, 2], "when": {f"units_{i + k}": [2] for i in range(1, 25, 3)}}
        for k in range(3)
    }
    of = space({**parents, **crossed})
    narrowest = n_weights({f"units_{i}": 2 for i in range(1, 28)}, SHAPE)
    held = limit(of, narrowest + 50)
    point = held.restrict(dict.fromkeys([slot.name for slot in held.space.searched], 0.9), 0.5)
    assert of.complete(point) == point
    assert n_weights(point, SHAPE) <= narrowest + 50
    assert list(held.frames())


def test_restriction_spreads_over_the_depths_that_can_be_used():
    of = space({"layers": {"type": "int", "low": 1, "high": 32}, "units": {"values": [64, 65]}, "batch_norm": False})
    held = limit(of, n_weights({"layers": 4, "units": 64}, SHAPE))
    depths = [held.restrict({"layers": 0.9, "units": 0.9}, i / 20)["layers"] for i in range(21)]
    assert set(depths) == {1, 2, 3, 4}
