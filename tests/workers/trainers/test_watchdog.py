"""When a trainer process is taken for hanging, or for too large."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch.domain.training import Training
from tests.workers.idle_trainer import IdleTrainer, assignment
from workers.options import WorkerOptions
from workers.trainers.watchdog import overgrown_bytes, silence

MIB = 2**20


def holding(*stall_timeouts_s: float, **ready: Any) -> IdleTrainer:
    trainer = IdleTrainer(**ready)
    trainer.add(assignment(training=Training(stall_timeout_s=limit_s)) for limit_s in stall_timeouts_s)
    return trainer


def test_any_sign_of_progress_counts_for_all():
    trainer = holding(10, 10)
    first, _ = trainer.held.values()
    first.n_epochs = 5  # the other has none, and still something happens
    assert silence(trainer, trainer.progress_s + 9) is None
    assert "any of 2 trials for 10 s" in (silence(trainer, trainer.progress_s + 11) or "")


def test_the_most_patient_study_decides():
    trainer = holding(5, 50)
    assert silence(trainer, trainer.progress_s + 49) is None
    assert silence(trainer, trainer.progress_s + 51)


def test_compiling_is_allowed_for():
    trainer = holding(5, silence_s=60)
    assert silence(trainer, trainer.progress_s + 64) is None
    assert "for 65 s after epoch 0" in (silence(trainer, trainer.progress_s + 66) or "")


def test_an_idle_trainer_may_be_silent_for_ever():
    assert silence(IdleTrainer(), 1e9) is None


def test_the_time_of_a_process_is_shared_and_frozen_time_is_nobodys():
    trainer = holding(5, 5)
    trainer.shared_s -= 8
    trainer.share_time()
    assert [round(one.device_s) for one in trainer.held.values()] == [4, 4]
    trainer.forgive_pause(100)
    trainer.share_time()
    assert [round(one.device_s) for one in trainer.held.values()] == [-46, -46]


OPTIONS = WorkerOptions("http://x", max_growth_bytes=100 * MIB)


def grown(trainer: IdleTrainer, mib: int, *, is_idle: bool) -> bool:
    trainer.resident_bytes = mib * MIB
    return overgrown_bytes(trainer, OPTIONS, is_idle=is_idle) is not None


@pytest.mark.parametrize(("is_idle", "most"), [(True, 600), (False, 800)])
def test_what_packs_need_is_no_leak_while_they_train(is_idle: bool, most: int):
    trainer = IdleTrainer(pack_bytes=200 * MIB)
    assert not grown(trainer, 500, is_idle=True), "the first look is what is compared with"
    assert not grown(trainer, most, is_idle=is_idle)
    assert grown(trainer, most + 1, is_idle=is_idle)


def test_a_trainer_that_is_never_idle_is_compared_with_itself_after_its_first_trials():
    trainer = IdleTrainer(4)
    assert not grown(trainer, 500, is_idle=False)
    trainer.n_finished = 4
    assert not grown(trainer, 900, is_idle=False)
    assert grown(trainer, 1001, is_idle=False)
