"""Study definitions: strict, coherent, and the same after a journey through JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from hpsearch.domain.lifecycle import EndReason
from hpsearch.domain.objective import Objective
from hpsearch.domain.progress import Progress, end_reason, open_limit
from hpsearch.domain.study import StudyDefinition

PLAIN: dict[str, Any] = {
    "name": "digits",
    "dataset": {"builtin": "digits"},
    "space": {"layers": {"type": "int", "low": 1, "high": 4}},
}


def study(**changes: Any) -> StudyDefinition:
    return StudyDefinition.model_validate({**PLAIN, **changes})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"surprise": 1}, "Extra inputs"),
        ({"name": ""}, "at least 1 character"),
        ({"name": "a\x00b"}, r"U\+0000"),
        ({"name": "a\ud800b"}, "surrogate|string"),
        ({"dataset": {}}, "exactly one"),
        ({"dataset": {"builtin": "digits", "id": "x"}}, "builtin, id"),
        ({"dataset": {"builtin": "mnist"}}, "unknown builtin data set 'mnist'"),
        ({"dataset": {"generated": "noise"}}, "unknown generated data set"),
        ({"dataset": {"url": "file:///etc/passwd"}}, "Extra inputs"),
        ({"split": {"validation": 0.6, "test": 0.4}}, "no rows to train on"),
        ({"split": {"validation": 0.2, "folds": 5}}, "one of validation, folds or column"),
        ({"split": {"folds": 1}}, "greater than or equal to 2"),
        ({"objective": {"metric": "beauty"}}, "unknown metric 'beauty'"),
        ({"objective": {"metric": "accuracy", "direction": "minimize"}}, "better when you maximize"),
        ({"task": "regression", "objective": {"metric": "accuracy"}}, "not a metric of regression"),
        ({"budget": {"max_trials": 0}}, "greater than or equal to 1"),
        ({"budget": {"max_trials": 2**63}}, "less than or equal to"),
        ({"budget": {"max_trials": "7"}}, "valid integer"),
        ({"budget": {"max_trials": True}}, "valid integer"),
        ({"budget": {"max_trials": 3.0}}, "valid integer"),
        ({"parallelism": 0}, "greater than or equal to 1"),
        ({"algorithm": {"kind": "grid"}, "space": {"dropout": {"type": "float", "low": 0, "high": 0.5}}}, "steps"),
        ({"training": {"lr_decay": {"factor": 1.0}}}, "less than 1"),
    ],
)
def test_what_can_not_be_meant_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        study(**change)


def test_a_definition_survives_json() -> None:
    one = study(space={"units": {"type": "int", "low": 4, "high": 64, "log": True, "per_layer": True}}, refit=True)
    assert StudyDefinition.model_validate_json(one.model_dump_json()) == one
    assert json.loads(one.model_dump_json())["refit"] == "auto"
    assert study(refit=False).refit == "off"


def test_the_default_budget_fits_the_algorithm() -> None:
    assert study().max_trials == 100
    assert study(algorithm={"kind": "grid"}).max_trials is None
    assert study(budget={"wall_time_s": 60}).max_trials == 1_000_000
    assert (open_limit(study(), 100), open_limit(study(), 8)) == (12, 4)
    assert open_limit(study(parallelism=3), 100) == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"n_search": 10, "n_finished": 10}, EndReason.MAX_TRIALS),
        ({"n_search": 10, "n_finished": 9}, None),
        ({"n_failed": 20}, EndReason.MAX_FAILED),
        ({"wall_time_s": 101.0}, EndReason.WALL_TIME),
        ({"device_seconds": 51.0}, EndReason.DEVICE_SECONDS),
        ({"best_value": 0.9}, EndReason.TARGET_REACHED),
        ({"best_value": 0.89}, None),
        ({"n_search": 10, "n_finished": 9, "n_cancelled": 1}, None),
        ({"n_search": 11, "n_finished": 10, "n_cancelled": 1}, EndReason.MAX_TRIALS),
        ({"grid_size": 12, "n_search": 10, "n_finished": 9, "n_cancelled": 1}, EndReason.MAX_TRIALS),
    ],
)
def test_a_search_ends_when_its_first_limit_is_met(changes: dict[str, Any], expected: EndReason | None) -> None:
    plain: dict[str, Any] = {
        "max_trials": 10, "grid_size": None, "n_search": 0, "n_finished": 0, "n_failed": 0, "n_cancelled": 0,
        "best_value": None, "wall_time_s": 0.0, "device_seconds": 0.0,
    }  # fmt: skip
    budget = {"max_trials": 10, "wall_time_s": 100.0, "device_seconds": 50.0, "target": 0.9}
    assert end_reason(Progress(**{**plain, **changes}), study(budget=budget), Objective(metric="accuracy")) == expected
