"""Spaces of every kind, and a slow, plain way to list their points."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from hpsearch.domain.space import Space
from hpsearch.domain.trial import Params

FINITE: dict[str, dict[str, Any]] = {
    "one value": {"learning_rate": 0.1},
    "shared width": {"layers": {"type": "int", "low": 0, "high": 3}, "units": {"values": [4, 2, 16]}},
    "width of each layer": {
        "layers": {"type": "int", "low": 0, "high": 3},
        "units": {"type": "int", "low": 2, "high": 8, "steps": 3, "log": True, "per_layer": True},
        "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
    },
    "explicit widths": {"units_1": {"values": [3, 5]}, "units_2": {"values": [7, 9]}},
    "explicit widths, one only for adam": {
        "units_1": {"values": [3, 5]},
        "units_2": {"values": [7, 9], "when": {"optimizer": ["adam"]}},
        "optimizer": {"type": "categorical", "choices": ["sgd", "adam", "rmsprop"]},
    },
    "shared width with an exception": {
        "layers": {"values": [1, 3]},
        "units": {"values": [4, 8]},
        "units_2": {"values": [2, 3], "when": {"layers": [3]}},
    },
    "normalised only when deep": {
        "layers": {"type": "int", "low": 1, "high": 3},
        "units": {"values": [2, 6]},
        "batch_norm": {"values": [False, True], "when": {"layers": [2, 3]}},
        "momentum": {"values": [0.5, 0.9], "when": {"batch_norm": [True]}},
    },
    "chain of conditions": {
        "optimizer": {"type": "categorical", "choices": ["sgd", "momentum", "nesterov"]},
        "momentum": {"values": [0.5, 0.7, 0.9], "when": {"optimizer": ["momentum", "nesterov"]}},
        "dropout": {"values": [0.0, 0.5], "when": {"momentum": [0.7]}},
        "input_dropout": {"values": [0.1, 0.2], "when": {"dropout": [0.5], "optimizer": ["nesterov"]}},
        "init": "glorot_uniform",
    },
    "width that decides": {
        "units_1": {"type": "int", "low": 2, "high": 5},
        "units_2": {"values": [2, 3], "when": {"units_1": [4, 5]}},
        "batch_norm": {"values": [True, False], "when": {"units_2": [3]}},
    },
    "stepped floats": {
        "dropout": {"type": "float", "low": 0.0, "high": 0.6, "steps": 7},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True, "steps": 4},
    },
    "one and true apart": {"batch_norm": {"values": [True, False]}, "batch_size": {"values": [1, 2]}},
}


def space(definition: dict[str, Any]) -> Space:
    return Space.model_validate(definition)


def listed(of: Space) -> Iterator[Params]:
    """Yield every point, by nested loops over the definition."""
    order = of.ordered()

    def complete(point: Params, at: int) -> Iterator[Params]:
        if at == len(order):
            yield dict(point)
            return
        name, parameter = order[at]
        if not of.active(parameter, point):
            yield from complete(point, at + 1)
            return
        for value in parameter.values or ():
            yield from complete({**point, name: value}, at + 1)

    return complete({}, 0)


def identity(point: Params) -> tuple[tuple[str, str], ...]:
    """Return what tells points apart, with 1 and true kept apart."""
    return tuple(sorted((name, repr(value)) for name, value in point.items()))


_VALUES: dict[str, list[Any]] = {
    "layers": [0, 1, 2, 3],
    "units": [2, 3, 5, 8],
    "units_1": [1, 4, 6],
    "units_2": [2, 7],
    "batch_norm": [True, False],
    "optimizer": ["sgd", "momentum", "adam"],
    "momentum": [0.1, 0.5, 0.9],
    "dropout": [0.0, 0.2, 0.4],
    "activation": ["relu", "tanh"],
    "batch_size": [1, 16, 32],
}


def arbitrary(seed: int) -> Space:
    """Return a small space with random parameters, values and conditions."""
    rng = random.Random(seed)
    names = rng.sample(sorted(_VALUES), rng.randint(1, 6))
    definition: dict[str, Any] = {}
    for place, name in enumerate(names):
        values = rng.sample(_VALUES[name], rng.randint(1, len(_VALUES[name])))
        parameter: dict[str, Any] = {"values": values}
        if place and name != "layers" and rng.random() < 0.5:
            parents = rng.sample(names[:place], min(place, rng.randint(1, 2)))
            taken = {parent: definition[parent]["values"] for parent in parents}
            parameter["when"] = {p: rng.sample(vs, rng.randint(1, len(vs))) for p, vs in taken.items()}
        definition[name] = parameter
    shuffled = list(definition.items())
    rng.shuffle(shuffled)
    return Space.model_validate(dict(shuffled))
