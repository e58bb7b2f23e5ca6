"""The training settings of a study: defaults and bounds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hpsearch.domain.training import MAX_EPOCHS, EarlyStopping, Training


def test_training_stops_early_at_a_constant_rate_unless_told_otherwise():
    training = Training()
    assert training.early_stopping == EarlyStopping(patience=10, min_delta=0.0)
    assert training.lr_decay is None


def test_early_stopping_can_be_switched_off():
    assert Training.model_validate({"early_stopping": None}).early_stopping is None


@pytest.mark.parametrize(
    "fields",
    [
        {"max_epochs": 0},
        {"max_epochs": MAX_EPOCHS + 1},
        {"early_stopping": {"patience": 0}},
        {"early_stopping": {"min_delta": -0.1}},
        {"lr_decay": {"factor": 1.0}},
        {"lr_decay": {"factor": 0.0}},
        {"lr_decay": {"floor": -1e-9}},
        {"epochs": 3},
    ],
    ids=str,
)
def test_settings_beyond_their_bounds_are_refused(fields: dict[str, Any]):
    with pytest.raises(ValidationError):
        Training.model_validate(fields)
