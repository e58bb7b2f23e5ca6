"""NativeEngine: hard input, memory, stops within an epoch, and trials for other engines."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from hpsearch.domain.training import Training
from tests.workers.training.fused.ledger import Ledger
from tests.workers.training.memory import Builtin, MakeTask, Memory, Store
from workers.training.engine.task import TrialTask
from workers.training.native.engine import NativeEngine

BASE: dict[str, Any] = {"layers": 2, "units": 16, "batch_size": 16, "learning_rate": 0.01}


def test_a_learning_rate_of_1e10_is_the_trials_own_trouble(
    native: NativeEngine, builtin: Builtin, make_task: MakeTask
) -> None:
    iris = builtin("iris")
    good = [make_task(iris, BASE, seed=seed, epochs=20) for seed in range(4)]
    wild = [
        make_task(
            iris, BASE | {"learning_rate": 1000.0, "optimizer": optimizer, "activation": activation}, seed=9, epochs=20
        )
        for optimizer, activation in (("sgd", "relu"), ("momentum", "elu"), ("adam", "relu"))
    ]
    huge = make_task(iris, BASE | {"learning_rate": 1e10}, epochs=20)
    alone, together = Ledger(keep=False), Ledger(keep=False)
    native.train(good, alone)
    native.train([wild[0], good[0], wild[1], good[1], huge, good[2], wild[2], good[3]], together)
    ends = [together.ends[task.trial.trial_id] for task in wild]
    assert {(end.state, end.cause) for end in ends[:2]} == {("INFEASIBLE", "diverged")}
    # The domain admits learning rates up to 1,000: beyond, a sentence.
    refused = together.ends[huge.trial.trial_id]
    assert (refused.state, refused.cause) == ("FAILED", "training_error")
    assert "learning_rate" in (refused.detail or "")
    for task in good:
        assert together.epochs[task.trial.trial_id] == alone.epochs[task.trial.trial_id]


def test_a_network_too_large_for_memory_is_infeasible_and_the_next_goes_on(
    builtin: Builtin, make_task: MakeTask
) -> None:
    engine = NativeEngine(n_slots=2, explain=lambda _: None, memory_bytes=4 * 2**20)
    digits = builtin("digits")
    large = make_task(digits, BASE | {"units": 4_000}, epochs=1)
    small = make_task(digits, BASE, epochs=1)
    ledger = Ledger(keep=False)
    engine.train([large, small], ledger)
    end = ledger.ends[large.trial.trial_id]
    assert (end.state, end.cause) == ("INFEASIBLE", "oom")
    assert "did not fit into memory" in (end.detail or "")
    assert ledger.ends[small.trial.trial_id].state == "COMPLETE"


def test_networks_that_fit_only_one_by_one_wait_for_each_other(builtin: Builtin, make_task: MakeTask) -> None:
    engine = NativeEngine(n_slots=4, explain=lambda _: None, memory_bytes=6 * 2**20)
    digits = builtin("digits")
    tasks = [make_task(digits, BASE | {"units": 300}, seed=seed, epochs=3) for seed in range(6)]
    ledger = Ledger(keep=False)
    engine.train(tasks, ledger)
    assert [ledger.ends[task.trial.trial_id].state for task in tasks] == ["COMPLETE"] * 6


def test_a_data_set_of_one_column_and_batches_larger_than_the_data(
    native: NativeEngine, store: Store, make_task: MakeTask
) -> None:
    x = np.linspace(-1, 1, 60)
    data = store(pl.DataFrame({"x": x, "y": 3 * x + 1}), target="y", task="regression")
    memory = Memory(keep=False)
    native.train([make_task(data, {"layers": 0, "batch_size": 2**20, "learning_rate": 0.3}, epochs=60)], memory)
    assert memory.outcome.state == "COMPLETE"
    assert memory.outcome.metrics["r2"] > 0.99


def test_a_cancelled_trial_stops_within_an_epoch_of_a_large_set(
    native: NativeEngine, store: Store, make_task: MakeTask
) -> None:
    random = np.random.default_rng(0)
    columns = {f"x{number}": random.standard_normal(60_000) for number in range(10)}
    data = store(pl.DataFrame(columns | {"y": random.standard_normal(60_000)}), target="y", task="regression")
    task = make_task(data, {"layers": 3, "units": 400, "batch_size": 32}, epochs=5)

    class Cancelling(Memory):
        began_s = 0.0

        def should_stop(self, task: TrialTask) -> bool:
            del task
            self.began_s = self.began_s or time.perf_counter()
            return True

    sink = Cancelling(keep=False)
    native.train([task], sink)
    stopped_s = time.perf_counter() - sink.began_s
    assert (sink.measurements, sink.outcomes) == ([], [])
    # An epoch of it takes seconds, a step some tenths of a millisecond.
    assert stopped_s < 0.5


def test_a_trial_may_be_dropped_while_it_waits_for_memory(builtin: Builtin, make_task: MakeTask) -> None:
    engine = NativeEngine(n_slots=2, explain=lambda _: None, memory_bytes=6 * 2**20)
    digits = builtin("digits")
    first = make_task(digits, BASE | {"units": 300}, seed=1, epochs=10)
    second = make_task(digits, BASE | {"units": 300}, seed=2, epochs=10)
    ledger = Ledger(keep=False, stop={second.trial.trial_id: 0})
    engine.train([first, second], ledger)
    assert set(ledger.ends) == {first.trial.trial_id}


def test_a_study_that_asks_for_plain_keras_gets_it(builtin: Builtin, make_task: MakeTask) -> None:
    from workers.training.reference.engine import ReferenceEngine

    said: list[str] = []
    engine = NativeEngine(n_slots=2, explain=said.append, reference=ReferenceEngine)
    said.clear()
    iris = builtin("iris")
    plain = make_task(iris, BASE, epochs=2)
    plain = replace(plain, study=plain.study.model_copy(update={"engine": "reference"}))
    other = make_task(iris, BASE, epochs=2)
    ledger, reference = Ledger(keep=False), Ledger(keep=False)
    engine.train([plain, other], ledger)
    ReferenceEngine().train([plain], reference)
    assert ledger.epochs[plain.trial.trial_id] == reference.epochs[plain.trial.trial_id]
    assert ledger.epochs[other.trial.trial_id] != reference.epochs[plain.trial.trial_id]
    assert said == ["study a study asks for plain Keras: loading TensorFlow into this trainer"]


def test_a_curve_is_the_same_from_one_engine_to_the_next(builtin: Builtin, make_task: MakeTask) -> None:
    digits = builtin("digits")
    task = make_task(
        digits, BASE | {"dropout": 0.3, "batch_norm": True}, epochs=5, early_stopping=Training().early_stopping
    )
    curves = []
    for n_slots in (1, 3):
        ledger = Ledger(keep=False)
        NativeEngine(n_slots=n_slots, explain=lambda _: None).train([task], ledger)
        curves.append(ledger.epochs[task.trial.trial_id])
    assert curves[0] == curves[1]


def test_short_trials_wait_at_hand_and_long_ones_are_left_to_others() -> None:
    engine = NativeEngine(n_slots=2, explain=lambda _: None)
    assert engine.capacity == 3
    for _ in range(100):
        engine.note_length(0.05)
    assert engine.capacity == 6
    for _ in range(100):
        engine.note_length(60.0)
    assert engine.capacity == 3


def test_slots_share_rows_too_large_to_keep(
    builtin: Builtin, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workers.training.engine import rows

    monkeypatch.setattr(rows, "_MAX_KEPT_BYTES", 0)
    prepared: list[int] = []
    prepare = rows.StudyRows._prepare
    monkeypatch.setattr(rows.StudyRows, "_prepare", lambda *args: prepared.append(1) or prepare(*args))
    engine = NativeEngine(n_slots=2, explain=lambda _: None)
    tasks = [make_task(builtin("digits"), BASE, seed=seed, epochs=30) for seed in range(2)]
    engine.train(tasks, Ledger(keep=False))
    assert len(prepared) == 1
