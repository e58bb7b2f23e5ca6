"""A point that was tried gives way to the nearest one that was not."""

from __future__ import annotations

from dataclasses import replace

from hpsearch.domain.space import Space
from hpsearch.domain.trial import Params
from hpsearch.sampling.compiled_space import compile_space
from hpsearch.sampling.limit import Limit
from hpsearch.sampling.novelty import Novelty
from hpsearch.sampling.request import NetworkShape
from hpsearch.sampling.suggest import n_weights
from tests.sampling.spaces import FINITE, identity, listed, space

SHAPE = NetworkShape(n_inputs=8, n_outputs=2, max_weights=None)


def novelty(of: Space, *tried: Params, max_weights: int | None = None) -> Novelty:
    return Novelty(of, Limit(compile_space(of), replace(SHAPE, max_weights=max_weights)), tried)


def test_an_untried_point_stays():
    point: Params = {"units_1": 3, "units_2": 7}
    assert novelty(space(FINITE["explicit widths"])).fresh(point, 0, 0) is point


def test_the_next_value_is_taken_on_either_side():
    of = space({"units": {"type": "int", "low": 1, "high": 50}})
    found = {novelty(of, {"units": 20}).fresh({"units": 20}, seed, 0)["units"] for seed in range(20)}
    assert found == {19, 21}
    crowd: list[Params] = [{"units": u} for u in range(18, 23)]
    assert novelty(of, *crowd).fresh({"units": 20}, 0, 0)["units"] in {17, 23}


def test_beyond_the_neighbours_the_nearest_of_the_whole_space_is_taken():
    of = space({"units": {"type": "int", "low": 1, "high": 50}})
    crowd: list[Params] = [{"units": u} for u in range(5, 45)]
    assert novelty(of, *crowd).fresh({"units": 15}, 0, 0) == {"units": 4}


def test_every_point_comes_once_and_within_the_limit():
    of = space(FINITE["width of each layer"])
    everything = [p for p in listed(of) if n_weights(p, SHAPE) <= 100]
    remembered = novelty(of, max_weights=100)
    found = []
    for index in range(len(everything)):
        found.append(remembered.fresh(everything[0], 3, index))
        remembered.add(found[-1])
    assert sorted(map(identity, found)) == sorted(map(identity, everything))
    assert remembered.fresh(everything[0], 3, len(found)) == everything[0]


def test_what_a_move_switches_on_takes_a_value_of_its_own():
    of = space(
        {
            "optimizer": {"values": ["sgd", "momentum"]},
            "momentum": {"type": "float", "low": 0.1, "high": 0.9, "when": {"optimizer": ["momentum"]}},
        }
    )
    remembered = novelty(of, {"optimizer": "sgd"})
    found = [remembered.fresh({"optimizer": "sgd"}, 0, index) for index in range(10)]
    assert [of.complete(p) for p in found] == found
    assert len({p["momentum"] for p in found}) == 10


def test_a_tried_point_of_a_continuous_space_gives_way_to_a_random_one():
    of = space({"dropout": {"type": "float", "low": 0.0, "high": 0.5}})
    found = [novelty(of, {"dropout": 0.0}).fresh({"dropout": 0.0}, 0, index)["dropout"] for index in range(5)]
    assert len(set(found)) == 5
    assert 0.0 not in found
