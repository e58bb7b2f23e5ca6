"""Study definitions: strict, coherent, and the same after a journey through JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from hpsearch.domain.lifecycle import FINAL, MOVES, OPEN, STUDY_MOVES, EndReason, TrialEvent, TrialState, sources
from hpsearch.domain.mlp import MlpConfig, count_weights
from hpsearch.domain.objective import Objective
from hpsearch.domain.progress import Progress, end_reason, open_limit
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Outcome

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


def test_final_states_have_no_way_out_but_the_retry_of_a_failure() -> None:
    ways_out = {(state, event) for state, event in MOVES if state in FINAL}
    assert ways_out == {(TrialState.FAILED, TrialEvent.RETRY)}
    assert {state for state, _ in MOVES} - FINAL == OPEN
    assert sources(TrialEvent.CANCEL) == (TrialState.WAITING, TrialState.RUNNING)
    assert set(STUDY_MOVES.values()) == {"RUNNING", "PAUSED", "STOPPING", "COMPLETED", "CANCELLED", "FAILED"}


def test_weights_are_counted_as_keras_counts_them() -> None:
    # 64-32-16-10: (64+1)*32 + (32+1)*16 + (16+1)*10, and scale and shift of 48 units.
    assert count_weights((32, 16), n_inputs=64, n_outputs=10, batch_norm=False) == 2080 + 528 + 170
    assert count_weights((32, 16), n_inputs=64, n_outputs=10, batch_norm=True) == 2080 + 528 + 170 + 96
    assert count_weights((), n_inputs=64, n_outputs=1, batch_norm=True) == 65


def test_flat_parameters_become_a_network() -> None:
    assert MlpConfig.from_params({"layers": 3, "units": 8}).units == (8, 8, 8)
    assert MlpConfig.from_params({"layers": 2, "units_1": 4, "units_2": 6}).units == (4, 6)
    assert MlpConfig.from_params({"layers": 0}).units == ()
    assert MlpConfig.from_params({}).units == (64, 64)
    assert MlpConfig.from_params({"units_1": 5}).units == (5,)
    assert MlpConfig(activation="selu").resolved_init == "lecun_normal"
    assert MlpConfig(activation="relu").resolved_init == "he_uniform"
    assert MlpConfig(activation="tanh").resolved_init == "glorot_uniform"
    assert MlpConfig(activation="tanh", init="he_normal").resolved_init == "he_normal"


@pytest.mark.parametrize(
    "outcome",
    [
        {"state": "COMPLETE"},
        {"state": "COMPLETE", "value": float("nan")},
        {"state": "FAILED", "cause": "lost"},
        {"state": "DONE", "value": 1.0},
        {"state": "COMPLETE", "value": 1.0, "metrics": {"a" * 65: 1.0}},
        {"state": "COMPLETE", "value": 1.0, "device_seconds": -1.0},
    ],
)
def test_an_outcome_that_can_not_be_is_refused(outcome: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Outcome.model_validate(outcome)
