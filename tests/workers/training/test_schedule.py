from __future__ import annotations

from typing import Any

import pytest

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.training import EarlyStopping, LrDecay, Training
from workers.training.engine.schedule import Schedule

SHARED = Training(
    max_epochs=30,
    early_stopping=EarlyStopping(patience=7, min_delta=0.01),
    lr_decay=LrDecay(factor=0.3, patience=3, floor=1e-4),
)
BARE = Training(max_epochs=30, early_stopping=None, lr_decay=None)


def test_the_studys_schedule_holds_where_the_trial_says_nothing():
    schedule = Schedule.of(MlpConfig(), SHARED)
    assert (schedule.max_epochs, schedule.early_stopping, schedule.lr_decay) == (
        30,
        SHARED.early_stopping,
        SHARED.lr_decay,
    )
    assert Schedule.of(MlpConfig(), BARE) == Schedule(30, None, None)


def test_the_trials_own_values_replace_the_studys_one_by_one():
    config = MlpConfig(early_stopping_patience=2, lr_decay_factor=0.9, lr_decay_patience=5)
    schedule = Schedule.of(config, SHARED)
    assert schedule.early_stopping == EarlyStopping(patience=2, min_delta=0.01)
    assert schedule.lr_decay == LrDecay(factor=0.9, patience=5, floor=1e-4)


@pytest.mark.parametrize(
    ("config", "decay"),
    [
        (MlpConfig(lr_decay_factor=0.2), LrDecay(factor=0.2)),
        (MlpConfig(lr_decay_patience=9), LrDecay(patience=9)),
        (MlpConfig(lr_decay_factor=1.0, lr_decay_patience=9), None),
    ],
)
def test_the_trial_alone_can_switch_the_decay_on(config: MlpConfig, decay: Any):
    assert Schedule.of(config, BARE).lr_decay == decay


def test_a_factor_of_one_switches_the_studys_decay_off():
    assert Schedule.of(MlpConfig(lr_decay_factor=1.0), SHARED).lr_decay is None


def test_the_trial_alone_can_switch_early_stopping_on():
    assert Schedule.of(MlpConfig(early_stopping_patience=4), BARE).early_stopping == EarlyStopping(patience=4)
