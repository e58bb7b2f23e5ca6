"""Search spaces: what is refused, and what belongs to one."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import pytest
from pydantic import ValidationError

from hpsearch.domain.space import Space

RATE = {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}


def space(**parameters: Any) -> Space:
    return Space.model_validate(parameters)


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"learning_rate": {**RATE, "low": 1.0}}, "low must not exceed high"),
        ({"learning_rate": {**RATE, "low": 0.0}}, "log needs bounds above 0"),
        ({"learning_rate": {**RATE, "low": -3.0, "high": -1.0}}, "real values, not exponents"),
        ({"learning_rate": {**RATE, "low": "0.1"}}, "valid number"),
        ({"learning_rate": {**RATE, "low": True}}, "must be a number"),
        ({"learning_rate": {**RATE, "low": float("nan")}}, "finite"),
        ({"learning_rate": {**RATE, "high": float("inf")}}, "finite"),
        ({"learning_rate": {**RATE, "steps": 0}}, "greater than or equal to 1"),
        ({"learning_rate": {**RATE, "low": 0.1, "steps": 2}}, "steps need low below high"),
        ({"learning_rate": {**RATE, "step": 1}}, "Extra inputs"),
        ({"units": {"type": "int", "low": 1.0, "high": 4}}, "valid integer"),
        ({"units": {"type": "int", "low": 1, "high": 10**12}}, "units can not be 1000000000000"),
        ({"layers": {"type": "int", "low": -1, "high": 4}}, "layers must be an integer from 0"),
        ({"batch_size": 0}, "batch_size can not be 0"),
        ({"dropout": 1.0}, "less than 1"),
        ({"activation": {"type": "categorical", "choices": []}}, "at least 1"),
        ({"activation": {"type": "categorical", "choices": ["relu", "relu"]}}, "choices must differ"),
        ({"activation": {"type": "categorical", "choices": ["relu", "__import__('os')"]}}, "activation can not be"),
        ({"dropout": {"values": [n / 2000 for n in range(1001)]}}, "at most 1000"),
        ({"learning_rate": {"type": "float", "values": ["a"]}}, "must be numbers"),
        ({"units": {"type": "int", "values": [1.5]}}, "must be integers"),
        ({"units": {"values": [1], "low": 3}}, "values stand alone"),
        ({"lr": 0.1}, "unknown parameter 'lr'"),
        ({"units_0": 4}, "unknown parameter"),
        ({"units_33": 4}, "units_1 to units_32"),
        ({"dropout": {"type": "int", "low": 0, "high": 0, "per_layer": True}}, "per_layer is for units"),
        ({"units": {"type": "int", "low": 1, "high": 4, "per_layer": True}, "units_1": 4}, "exclude each other"),
        ({"momentum": {**RATE, "when": {"optimizer": ["momentum"]}}}, "not another parameter"),
        ({"optimizer": "sgd", "momentum": {**RATE, "when": {"optimizer": ["adam"]}}}, "never takes 'adam'"),
        ({"dropout": {**RATE, "when": {"learning_rate": [0.1]}}, "learning_rate": RATE}, "countable"),
        ({"layers": {"values": [1, 2], "when": {"batch_norm": [True]}}, "batch_norm": True}, "must not be conditional"),
        (
            {
                "batch_norm": {"values": [True, False], "when": {"optimizer": ["sgd"]}},
                "optimizer": {"values": ["sgd", "adam"], "when": {"batch_norm": [True]}},
            },
            "circle",
        ),
        ({"learning_rate": [0.1, 0.2]}, "dictionary|valid"),
    ],
)
def test_an_impossible_space_is_one_sentence(parameters: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        space(**parameters)


_STEPS = {"type": "int", "low": 1, "high": 10_000, "steps": 10_000}
_CHOICES = {"type": "categorical", "choices": list(range(1, 1_001))}


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"batch_size": _STEPS, "dropout": {**RATE, "when": {"batch_size": [1] * 1_000}}}, None),
        ({"batch_size": _CHOICES, "dropout": {**RATE, "when": {"batch_size": [1_000] * 1_000}}}, None),
        (
            {
                "learning_rate": {**RATE, "steps": 10_000},
                "units": {"values": [1], "when": {"learning_rate": [0.1] * 1_000}},
            },
            None,
        ),
        ({f"units_{i}": _CHOICES for i in range(1, 6)}, None),
        (
            {f"units_{i}": _CHOICES for i in range(1, 7)},
            "at most 5,000 choices and values of conditions in all, received 6,000",
        ),
        ({"units": {"values": [None] * 100_000}}, "at most 1000 items, received 100000"),
        ({f"units_{i}": 1 for i in range(100_000)}, "at most 64 parameters, received 100,000"),
    ],
    ids=["steps", "choices", "floats", "many", "too many", "too long", "too wide"],
)
def test_the_largest_space_is_checked_quickly(parameters: dict[str, Any], refusal: str | None) -> None:
    begun_s = time.process_time()
    with pytest.raises(ValidationError, match=refusal) if refusal else nullcontext():
        space(**parameters)
    assert time.process_time() - begun_s < 0.3  # the first took 2 s once


def test_steps_are_known_by_their_very_values() -> None:
    stepped = space(
        batch_size={**_STEPS, "low": 2, "high": 50, "steps": 7, "log": True}, learning_rate={**RATE, "steps": 4}
    )
    batch_size, rate = stepped.root["batch_size"], stepped.root["learning_rate"]
    assert [value for value in range(60) if batch_size.contains(value)] == list(batch_size.values or ())
    assert all(rate.contains(value) and rate.contains(value * (1 + 1e-12)) for value in rate.values or ())
    assert not any(rate.contains(value) for value in (0.0, 1e-4 * (1 + 1e-6), 0.05, 0.2, "0.1"))
    # The same bounds as whole numbers and as floats are two parameters.
    two = {"low": 1, "high": 2, "steps": 2}
    parameters = space(units={"type": "int", **two}, learning_rate={"type": "float", **two}).root.values()
    assert [type(value) for one in parameters for value in one.values or ()] == [int, int, float, float]


def test_short_forms_are_spelt_out() -> None:
    short = space(
        layers=2, activation={"values": ["relu", "tanh"]}, learning_rate={"type": "float", "values": [1, 0.1]}
    )
    assert short.flat()["layers"].values == (2,)
    assert short.flat()["activation"].values == ("relu", "tanh")
    assert short.flat()["learning_rate"].values == (1.0, 0.1)
    assert list(short.searched()) == ["activation", "learning_rate"]


def test_steps_are_even_and_hold_both_ends() -> None:
    stepped = space(
        learning_rate={**RATE, "steps": 4},
        dropout={"type": "float", "low": 0.0, "high": 0.6, "steps": 3},
        units={"type": "int", "low": 1, "high": 100, "log": True, "steps": 3},
        layers={"type": "int", "low": 1, "high": 3, "steps": 1},
    ).flat()
    assert stepped["learning_rate"].values == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1), rel=1e-12)
    assert stepped["dropout"].values == pytest.approx((0.0, 0.3, 0.6))
    assert stepped["units"].values == (1, 10, 100)
    assert stepped["layers"].values == (1,)
    assert stepped["learning_rate"].contains(1e-3)
    assert not stepped["learning_rate"].contains(2e-3)
    assert not stepped["units"].contains(11)


def test_units_per_layer_are_active_as_deep_as_the_network_is() -> None:
    deep = space(
        layers={"type": "int", "low": 1, "high": 3}, units={"type": "int", "low": 4, "high": 8, "per_layer": True}
    )
    assert [(name, parameter.when) for name, parameter in deep.ordered()] == [
        ("layers", None),
        ("units_1", None),
        ("units_2", {"layers": (2, 3)}),
        ("units_3", {"layers": (3,)}),
    ]
    assert deep.complete({"layers": 2, "units_1": 4, "units_2": 8}) == {"layers": 2, "units_1": 4, "units_2": 8}


@pytest.mark.parametrize(
    ("point", "word"),
    [
        ({"layers": 1}, "learning_rate is missing"),
        ({"layers": 9, "learning_rate": 0.01}, "layers can not be 9"),
        ({"layers": 1, "learning_rate": 0.5}, "learning_rate can not be 0.5"),
        ({"layers": 1, "learning_rate": 0.01, "dropout": 0.1}, "dropout is not active"),
        ({"layers": 1, "learning_rate": 0.01, "momentum": 0.1}, "momentum is not a parameter"),
        ({"layers": True, "learning_rate": 0.01}, "layers can not be True"),
        ({"layers": 1, "learning_rate": "0.01"}, "learning_rate can not be '0.01'"),
    ],
)
def test_a_point_outside_the_space_is_refused(point: dict[str, Any], word: str) -> None:
    one = space(
        layers={"type": "int", "low": 1, "high": 2},
        learning_rate=RATE,
        dropout={"type": "float", "low": 0.0, "high": 0.5, "when": {"layers": [2]}},
        batch_size=32,
    )
    with pytest.raises(ValueError, match=word):
        one.complete(point)


def test_one_and_true_are_different_choices() -> None:
    both = space(batch_norm={"values": [True, False]}, layers={"values": [0, 1]})
    assert not both.flat()["batch_norm"].contains(1)
    assert not both.flat()["layers"].contains(True)
    assert both.flat()["layers"].contains(1)
