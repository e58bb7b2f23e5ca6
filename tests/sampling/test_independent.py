"""Random points follow the distributions they are documented to follow, also under a weight limit."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hpsearch.domain.space import Space
from hpsearch.domain.study import Algorithm
from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import compile_space
from hpsearch.sampling.draw import point_at, position_of, shares_of, value_at
from hpsearch.sampling.request import NetworkShape, SuggestRequest
from hpsearch.sampling.suggest import n_weights, suggest
from hpsearch.sampling.uniform import Stream, uniforms
from tests.sampling.spaces import FINITE, arbitrary, identity, listed, space

ANY = NetworkShape(n_inputs=8, n_outputs=2, max_weights=None)
GOLDEN: Params = {"units": 6, "learning_rate": 0.0001544860958309311, "activation": "elu"}


def draws(of: Space, n: int, *, shape: NetworkShape = ANY, seed: int = 0) -> list[Params]:
    return suggest(SuggestRequest(of, Algorithm(kind="random", seed=seed), shape, "minimize", n, 0, n))


def column(name: str, parameter: dict[str, Any], n: int = 4_000) -> list[Any]:
    return [point[name] for point in draws(space({name: parameter}), n)]


def test_float_is_uniform():
    values = column("dropout", {"type": "float", "low": 0.1, "high": 0.6})
    assert stats.kstest(values, stats.uniform(0.1, 0.5).cdf).pvalue > 0.01
    assert min(values) >= 0.1
    assert max(values) <= 0.6


def test_log_float_is_uniform_in_the_logarithm_of_its_real_bounds():
    values = column("learning_rate", {"type": "float", "low": 1e-4, "high": 1e-1, "log": True})
    assert stats.kstest(np.log10(values), stats.uniform(-4, 3).cdf).pvalue > 0.01
    assert min(values) >= 1e-4
    assert max(values) <= 1e-1


def test_int_is_uniform_with_both_ends():
    counts = Counter(column("batch_size", {"type": "int", "low": 3, "high": 12}))
    assert set(counts) == set(range(3, 13))
    assert stats.chisquare([counts[v] for v in range(3, 13)]).pvalue > 0.01


def test_log_int_gives_each_value_its_share_of_the_logarithm():
    counts = Counter(column("units", {"type": "int", "low": 1, "high": 8, "log": True}))
    edges = np.log(np.arange(0.5, 9.0))
    shares = np.diff(edges) / (edges[-1] - edges[0])
    assert stats.chisquare([counts[v] for v in range(1, 9)], shares * 4_000).pvalue > 0.01


@pytest.mark.parametrize(
    ("name", "parameter", "expected"),
    [
        ("activation", {"type": "categorical", "choices": ["relu", "tanh", "elu"]}, {"relu", "tanh", "elu"}),
        ("batch_norm", {"type": "categorical", "choices": [True, False]}, {True, False}),
        ("batch_size", {"values": [128, 32, 64]}, {32, 64, 128}),
        ("units", {"type": "int", "low": 16, "high": 256, "steps": 5, "log": True}, {16, 32, 64, 128, 256}),
        ("dropout", {"type": "float", "low": 0.0, "high": 0.6, "steps": 3}, {0.0, 0.3, 0.6}),
    ],
)
def test_listed_values_are_equally_likely(name: str, parameter: dict[str, Any], expected: set[Any]):
    counts = Counter(column(name, parameter))
    assert set(counts) == expected
    assert stats.chisquare(list(counts.values())).pvalue > 0.01


def test_parameters_are_independent_of_each_other_and_from_point_to_point():
    of = space({name: {"type": "float", "low": 0.0, "high": 0.9} for name in ("dropout", "input_dropout", "momentum")})
    table = np.array([[point[name] for name in of.root] for point in draws(of, 4_000)])
    following = np.hstack([table[:-1], table[1:]])
    assert np.abs(np.corrcoef(following, rowvar=False) - np.eye(6)).max() < 4 / math.sqrt(4_000)


def test_conditional_values_are_there_exactly_when_active():
    of = space(FINITE["chain of conditions"])
    points = draws(of, 1_000)
    assert all(of.complete(point) == point for point in points)
    assert {identity(point) for point in points} == {identity(point) for point in listed(of)}


def test_points_never_change():
    """A study resumed under another Python or NumPy goes on with the same list."""
    of = space(
        {
            "units": {"type": "int", "low": 1, "high": 10_000, "log": True},
            "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
            "activation": {"values": ["relu", "tanh", "elu"]},
        }
    )
    algorithm = Algorithm(kind="random", seed=11)
    point = suggest(SuggestRequest(of, algorithm, ANY, "minimize", 1, first_index=1_000_000, max_trials=9))[0]
    assert point["learning_rate"] == pytest.approx(GOLDEN["learning_rate"], rel=1e-12)
    assert point == {**GOLDEN, "learning_rate": point["learning_rate"]}


def test_streams_of_different_seeds_indices_and_purposes_are_apart():
    entropies = [
        (seed, index, attempt, stream)
        for seed in (0, 1)
        for index in (0, 1)
        for attempt in (0, 1)
        for stream in (Stream.RANDOM, Stream.NOVEL)
    ]
    shorter = [(seed, stream) for seed in (0, 1) for stream in Stream]
    first = [uniforms(1, *entropy)[0] for entropy in entropies + shorter]
    assert len(set(first)) == len(first)
    assert all(0 <= u <= 1 for u in first)


@pytest.mark.parametrize("max_weights", [120, 60])
def test_limit_only_cuts_the_distribution(max_weights: int):
    """Points under a limit are distributed like unlimited ones that happen to obey it."""
    of = space(FINITE["width of each layer"])
    shape = NetworkShape(8, 2, max_weights)
    everything = [p for p in listed(of) if n_weights(p, shape) <= max_weights]
    # Each depth and activation is as likely as any other, and each of the three widths of a layer.
    likely = {identity(p): 3.0 ** -int(p["layers"]) for p in everything}
    held = Counter(identity(p) for p in draws(of, 3_000, shape=shape))
    assert set(held) <= set(likely)
    expected = [share / sum(likely.values()) * 3_000 for share in likely.values()]
    assert stats.chisquare([held[point] for point in likely], expected).pvalue > 0.01


def test_where_almost_nothing_obeys_points_still_differ_and_obey():
    of = space(
        {
            "layers": {"type": "int", "low": 1, "high": 6},
            "units": {"type": "int", "low": 4, "high": 4_096, "per_layer": True},
            "batch_norm": {"values": [True, False]},
            "dropout": {"type": "float", "low": 0.0, "high": 0.5},
        }
    )
    shape = NetworkShape(8, 2, 400)
    points = draws(of, 60, shape=shape)
    assert all(of.complete(point) == point for point in points)
    assert all(n_weights(point, shape) <= 400 for point in points)
    assert len({point["layers"] for point in points}) >= 4
    assert {point["batch_norm"] for point in points} == {True, False}
    assert len({identity({k: v for k, v in p.items() if k != "dropout"}) for p in points}) > 40
    filled = [n_weights(point, shape) / 400 for point in points]
    assert max(filled) > 0.8
    assert min(filled) < 0.5


@pytest.mark.parametrize("name", FINITE)
def test_shares_lead_back_to_the_point(name: str):
    prepared = compile_space(space(FINITE[name]))
    for point in listed(space(FINITE[name])):
        assert point_at(prepared, shares_of(prepared, point)) == point


@pytest.mark.parametrize("seed", range(20))
def test_shares_lead_back_to_the_point_of_random_spaces(seed: int):
    prepared = compile_space(arbitrary(seed))
    for point in listed(arbitrary(seed)):
        assert point_at(prepared, shares_of(prepared, point)) == point


@pytest.mark.parametrize(
    "parameter",
    [
        {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
        {"type": "float", "low": 1e-3, "high": 0.1},
        {"type": "float", "low": 5e-324, "high": 0.1, "log": True},
    ],
)
def test_ends_of_a_range_are_reached_and_never_passed(parameter: dict[str, Any]):
    slot = compile_space(space({"weight_decay": parameter})).slots[0]
    assert value_at(slot, 0.0) == parameter["low"]
    assert value_at(slot, 1.0) == parameter["high"]
    assert position_of(slot, parameter["low"]) == 0
    assert position_of(slot, parameter["high"]) == pytest.approx(1)
    assert all(parameter["low"] <= value_at(slot, i / 999) <= parameter["high"] for i in range(1_000))  # type: ignore[operator]


@pytest.mark.parametrize("log", [False, True])
def test_ends_of_an_integer_range_are_reached(log: bool):
    slot = compile_space(space({"units": {"type": "int", "low": 1, "high": 65_536, "log": log}})).slots[0]
    assert [value_at(slot, 0.0), value_at(slot, 1.0)] == [1, 65_536]
    assert [value_at(slot, position_of(slot, v)) for v in (1, 2, 999, 65_535, 65_536)] == [1, 2, 999, 65_535, 65_536]


def test_a_value_outside_has_no_share():
    slots = {slot.name: slot for slot in compile_space(space(FINITE["chain of conditions"])).slots}
    with pytest.raises(ValueError, match="adam"):
        position_of(slots["optimizer"], "adam")
    wide = compile_space(space({"dropout": {"type": "float", "low": 0.0, "high": 0.5}})).slots[0]
    with pytest.raises(ValueError, match="dropout can not be"):
        position_of(wide, "much")


@pytest.mark.parametrize(("n", "first_index"), [(0, 0), (1, -1)])
def test_a_request_for_nothing_is_refused(n: int, first_index: int):
    asked = SuggestRequest(space(FINITE["one value"]), Algorithm(kind="random"), ANY, "minimize", n, first_index, 9)
    with pytest.raises(ValueError, match="at least 1 point"):
        suggest(asked)
