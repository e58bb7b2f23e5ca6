"""Outcomes and measurements: what a worker may report, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hpsearch.domain.trial import MAX_METRICS, Measurement, Outcome


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"state": "COMPLETE"}, "needs a finite value"),
        ({"state": "COMPLETE", "value": 0.5, "cause": "oom"}, "a COMPLETE outcome has no cause, received oom"),
        ({"state": "PRUNED", "cause": "diverged"}, "a PRUNED outcome has no cause, received diverged"),
        ({"state": "FAILED", "cause": "lost"}, "the server's to give; use crashed or stalled"),
        ({"state": "FAILED", "cause": "lost_repeatedly"}, "the server's to give; use crashed or stalled"),
        ({"state": "COMPLETE", "value": 0.5, "best_epoch": 4, "epochs": 3}, "received 4 of 3"),
        ({"state": "COMPLETE", "value": float("nan")}, "finite"),
        ({"state": "COMPLETE", "value": 0.5, "device_seconds": -1.0}, "greater than or equal to 0"),
        ({"state": "DONE", "value": 1.0}, "Input should be"),
        ({"state": "COMPLETE", "value": 1.0, "metrics": {"a" * 65: 1.0}}, "at most 64 "),
    ],
)
def test_an_outcome_that_contradicts_itself_is_refused(fields: dict[str, Any], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        Outcome.model_validate(fields)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(state="COMPLETE", value=0.5, best_epoch=3, epochs=3, stop_reason="max_epochs"),
        Outcome(state="INFEASIBLE", cause="diverged"),
        Outcome(state="FAILED", cause="crashed", detail="exit code 1"),
        Outcome(state="RELEASED", cause="shutdown"),
    ],
    ids=lambda outcome: outcome.state,
)
def test_an_outcome_survives_the_wire(outcome: Outcome):
    assert Outcome.model_validate_json(outcome.model_dump_json()) == outcome


def test_a_metric_that_is_undefined_is_null():
    assert Measurement(epoch=1, metrics={"loss": 0.5, "roc_auc": None}).metrics["roc_auc"] is None


@pytest.mark.parametrize(
    ("epoch", "metrics"),
    [
        (0, {"loss": 0.5}),
        (1, {"loss": float("inf")}),
        (1, {"1st": 0.5}),
        (1, {f"m{number}": 0.5 for number in range(MAX_METRICS + 1)}),
    ],
    ids=["epoch 0", "infinite", "name", "too many"],
)
def test_a_measurement_beyond_its_bounds_is_refused(epoch: int, metrics: dict[str, Any]):
    with pytest.raises(ValidationError):
        Measurement(epoch=epoch, metrics=metrics)
