"""A grid holds every feasible combination exactly once, is counted before it is listed, and is ready at once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hpsearch.domain.space import Space
from hpsearch.errors import InvalidStudyError
from hpsearch.sampling.grid import Grid
from hpsearch.sampling.request import NetworkShape
from hpsearch.sampling.suggest import n_weights
from tests.sampling.spaces import FINITE, arbitrary, identity, listed, space

ANY = NetworkShape(n_inputs=5, n_outputs=3, max_weights=None)
ORDER_OF_SEED_0 = [7, 10, 4, 11, 5, 1, 9, 8, 6, 2, 0, 3]
ORDER_OF_LAST_SEED = [11, 3, 8, 4, 10, 9, 2, 5, 0, 1, 7, 6]


def check_against_listing(of: Space, shape: NetworkShape) -> None:
    everything = list(listed(of))
    limit = shape.max_weights
    feasible = [p for p in everything if limit is None or n_weights(p, shape) <= limit]
    if not feasible:
        with pytest.raises(InvalidStudyError):
            Grid(of, shape)
        return
    grid = Grid(of, shape)
    points = [grid.point(i) for i in range(grid.size)]
    assert grid.n_combinations == len(everything)
    assert sorted(map(identity, points)) == sorted(map(identity, feasible))
    assert [grid.index_of(p) for p in points] == list(range(grid.size))
    assert [of.complete(p) for p in points] == points
    beyond = set(map(identity, everything)) - set(map(identity, feasible))
    assert all(grid.index_of(p) is None for p in everything if identity(p) in beyond)


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("max_weights", [None, 1_000, 60, 40, 25, 1])
def test_is_the_plain_listing(name: str, max_weights: int | None):
    check_against_listing(space(FINITE[name]), NetworkShape(5, 3, max_weights))


@pytest.mark.parametrize("seed", range(60))
def test_is_the_plain_listing_of_random_spaces(seed: int):
    of = arbitrary(seed)
    for max_weights in (None, 90, 30):
        check_against_listing(of, NetworkShape(3, 2, max_weights))


def test_points_read_in_the_order_of_the_definition():
    grid = Grid(space(FINITE["width of each layer"]), ANY)
    deepest = max((grid.point(i) for i in range(grid.size)), key=len)
    assert list(deepest) == ["layers", "units_1", "units_2", "units_3", "activation"]


def test_conditional_parameters_count_once_where_they_are_absent():
    definition = {
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam", "momentum", "nesterov"]},
        "momentum": {"values": [0.5, 0.9, 0.99], "when": {"optimizer": ["momentum", "nesterov"]}},
    }
    assert Grid(space(definition), ANY).size == 2 + 2 * 3


HUGE: dict[str, Any] = {
    "layers": {"type": "int", "low": 1, "high": 32},
    "units": {"type": "int", "low": 1, "high": 10_000, "per_layer": True},
    "momentum": {"type": "float", "low": 0.1, "high": 0.9, "steps": 10_000},
}


def test_too_large_is_said_exactly_and_at_once():
    begun = time.process_time()
    with pytest.raises(InvalidStudyError) as refused:
        Grid(space(HUGE), ANY)
    assert time.process_time() - begun < 2
    exact = 10_000 * sum(10_000**depth for depth in range(1, 33))
    assert refused.value.details == {"size": exact, "cap": 100_000}
    assert f"{exact:,}" in refused.value.message
    assert refused.value.code == "study.grid_too_large"


def test_cap_is_a_bound_that_may_be_met():
    definition = {"dropout": {"type": "float", "low": 0, "high": 0.5, "steps": 50}, "batch_size": {"values": [8, 16]}}
    assert Grid(space(definition), ANY, cap=100).size == 100
    with pytest.raises(InvalidStudyError, match="100 combinations and at most 99"):
        Grid(space(definition), ANY, cap=99)


def test_conditions_crossed_beyond_counting_are_refused_at_once():
    """Twenty-four widths, each of which still matters to a later parameter: 2^24 states to count by."""
    widths = {f"units_{i}": {"values": [1, 2]} for i in range(1, 25)}
    names = ("dropout", "input_dropout", "momentum")
    later = {
        name: {"values": [0.1, 0.2], "when": {f"units_{8 * block + i}": [1] for i in range(1, 9)}}
        for block, name in enumerate(names)
    }
    begun = time.process_time()
    with pytest.raises(InvalidStudyError, match="more than 100,000 combinations") as refused:
        Grid(space({**widths, **later}), ANY)
    assert time.process_time() - begun < 20
    assert refused.value.details == {"size": None, "cap": 100_000}


def test_many_conditions_on_many_values_are_counted_quickly():
    many = {"type": "int", "low": 1, "high": 10_000}
    parents = {f"units_{i}": many for i in range(1, 9)}
    crossed = {f"units_{i}": {**many, "when": {parent: [1] for parent in parents}} for i in range(9, 33)}
    begun = time.process_time()
    with pytest.raises(InvalidStudyError, match="combinations"):
        Grid(space({**parents, **crossed}), ANY)
    assert time.process_time() - begun < 2  # 12 s when each child looked through its parents' values anew


def test_a_hundred_thousand_points_under_a_limit_are_ready_quickly():
    definition = {
        "layers": {"type": "int", "low": 1, "high": 4},
        "units": {"type": "int", "low": 8, "high": 512, "log": True, "steps": 15, "per_layer": True},
        "batch_norm": {"values": [True, False], "when": {"layers": [1, 2, 3]}},
        "momentum": {"values": [0.9], "when": {"batch_norm": [True]}},
    }
    shape = NetworkShape(64, 10, 60_000)
    begun = time.process_time()
    grid = Grid(space({**definition}), shape)
    order = grid.order(0)
    assert time.process_time() - begun < 2
    assert 10_000 < grid.size < grid.n_combinations
    sample = [grid.point(i) for i in order[:500]]
    assert all(n_weights(p, shape) <= 60_000 for p in sample)
    assert [grid.index_of(p) for p in sample] == list(order[:500])


def test_order_is_a_shuffle_decided_by_the_seed():
    grid = Grid(space({"dropout": {"type": "float", "low": 0, "high": 0.9, "steps": 1_000}}), ANY)
    order = grid.order(7)
    assert sorted(order) == list(range(1_000))
    assert list(order) == list(grid.order(7))
    assert list(order) != list(grid.order(8))
    # A study stopped after a tenth has seen every tenth of the range.
    assert {index // 100 for index in order[:100]} == set(range(10))


def test_order_never_changes():
    """Stored studies hold positions in this order: another Python or NumPy must give the same."""
    grid = Grid(space({"batch_size": {"type": "int", "low": 1, "high": 12}}), ANY)
    assert list(grid.order(0)) == ORDER_OF_SEED_0
    assert list(grid.order(2**31 - 1)) == ORDER_OF_LAST_SEED


def test_impossible_limit_names_the_smallest_network():
    with pytest.raises(InvalidStudyError, match="at most 20 weights, the smallest has 23") as refused:
        Grid(space({"layers": 1, "units": {"values": [8, 2, 4]}}), NetworkShape(6, 3, 20))
    assert refused.value.code == "study.infeasible"


def test_range_without_steps_is_named():
    with pytest.raises(InvalidStudyError, match="learning_rate"):
        Grid(space({"learning_rate": {"type": "float", "low": 0.1, "high": 0.2}}), ANY)


def test_foreign_points_have_no_number():
    grid = Grid(space(FINITE["chain of conditions"]), ANY)
    own = {"optimizer": "sgd", "init": "glorot_uniform"}
    assert grid.index_of(own) is not None
    assert grid.index_of({"optimizer": "sgd"}) is None
    assert grid.index_of({**own, "momentum": 0.5}) is None
    assert grid.index_of({**own, "optimizer": "adam"}) is None


def test_rounded_steps_are_recognised():
    grid = Grid(space(FINITE["stepped floats"]), ANY)
    point = grid.point(9)
    nearly = {name: float(f"{value:.12g}") for name, value in point.items()}
    assert grid.index_of(nearly) == 9


@pytest.mark.parametrize("index", [-1, 10_000])
def test_no_point_beyond_the_grid(index: int):
    with pytest.raises(IndexError, match="points 0 to"):
        Grid(space(FINITE["explicit widths"]), ANY).point(index)
