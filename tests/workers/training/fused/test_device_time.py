"""Device time: what all trials pay together is what the device was busy for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.workers.training.fused.ledger import Ledger
from tests.workers.training.memory import Builtin, MakeTask

if TYPE_CHECKING:
    from workers.training.fused.engine import FusedEngine

BASE = {"layers": 1, "units": 16, "learning_rate": 0.01}


@pytest.mark.parametrize("widths", [(16,), (16, 100, 200)])
def test_the_shares_of_all_trials_sum_to_the_time_it_took(
    builtin: Builtin, make_task: MakeTask, fused: FusedEngine, widths: tuple[int, ...]
) -> None:
    iris = builtin("iris")
    # Packs of several widths run side by side; trials of different lengths leave slots to others.
    tasks = [
        make_task(iris, {**BASE, "units": widths[seed % len(widths)]}, seed=seed, epochs=10 + 5 * (seed % 4))
        for seed in range(12)
    ]
    ledger = Ledger(keep=False)
    started_s = time.perf_counter()
    fused.train(tasks, ledger)
    took_s = time.perf_counter() - started_s
    paid_s = [outcome.device_seconds for outcome in ledger.ends.values()]
    assert len(paid_s) == 12
    assert sum(paid_s) == pytest.approx(took_s, rel=0.05)
    assert min(paid_s) > 0
