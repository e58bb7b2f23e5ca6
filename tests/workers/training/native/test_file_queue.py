"""Model files beside the training: which are written, in which order trials are told of, a writer that is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.trial import Outcome
from tests.workers.training.fused.ledger import Ledger
from tests.workers.training.memory import Builtin, MakeTask
from workers.training.engine.task import TrialTask
from workers.training.model_files.child import Order, Reply
from workers.training.model_files.file_queue import ModelFileQueue
from workers.training.native.engine import NativeEngine


class SlowWriter:
    """Writes a file when it is told to go on."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.go_on = threading.Semaphore(0)
        self.is_failing = False

    def start(self) -> None:
        pass

    def write(self, order: Order) -> Reply:
        self.orders.append(order)
        assert self.go_on.acquire(timeout=10)
        if self.is_failing:
            return Reply(Outcome(state="FAILED", cause="crashed"), None)
        order.path.write_bytes(b"model")
        return Reply(order.outcome, order.path)


def _no_source() -> Any:
    return None


class Scene:
    """A queue whose writer stands still until told otherwise."""

    def __init__(self, make_task: MakeTask, data: Any) -> None:
        self.ledger = Ledger()
        self.writer = SlowWriter()
        self.waiting: list[str] = []
        self.queue = ModelFileQueue(self.ledger, self.writer, lambda task: self.waiting.append(task.trial.trial_id))  # type: ignore[arg-type]
        self._make, self._data = make_task, data

    def task(self, *, n_models: int = 1, **more: Any) -> TrialTask:
        task: TrialTask = self._make(self._data, {"layers": 1}, model=True, **more)
        study = task.study.model_copy(update={"n_models": n_models})
        return TrialTask(task.trial, study, task.content, task.profile, task.model_path)

    def offer(self, value: float, **more: Any) -> str:
        task = self.task(**more)
        self.queue.offer(task, Outcome(state="COMPLETE", value=value), _no_source)
        return task.trial.trial_id

    def write_all(self) -> None:
        for _ in range(100):
            self.writer.go_on.release()
        self.queue.close()


@pytest.fixture
def scene(make_task: MakeTask, builtin: Builtin) -> Scene:
    return Scene(make_task, builtin("iris"))


def until(condition: Any) -> None:
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_a_trial_that_is_beaten_while_it_waits_is_told_of_without_a_file(scene: Scene) -> None:
    first = scene.offer(0.5)
    until(lambda: scene.writer.orders)
    worse, better = scene.offer(0.4), scene.offer(0.6)
    best = scene.offer(0.7)
    # All but the one being written and the best are told of at once, and nobody waits for a file in vain.
    until(lambda: {worse, better} <= set(scene.ledger.ends))
    assert scene.ledger.models[worse] is None
    assert scene.ledger.models[better] is None
    scene.write_all()
    assert scene.ledger.models[first] is not None
    assert scene.ledger.models[best] is not None
    assert scene.waiting == [first, better, best]


def test_one_as_good_as_another_is_told_of_after_it(scene: Scene) -> None:
    first = scene.offer(0.5)
    until(lambda: scene.writer.orders)
    twin = scene.offer(0.5)
    assert scene.ledger.ends == {}
    scene.write_all()
    assert scene.ledger.order == [first, twin]
    assert scene.ledger.models[first] is not None
    assert scene.ledger.models[twin] is None
    assert len(scene.writer.orders) == 1


def test_as_many_files_as_the_study_keeps_and_every_final_refit(scene: Scene) -> None:
    blocker = scene.offer(0.9, n_models=3)
    until(lambda: scene.writer.orders)
    names = [scene.offer(value, n_models=3) for value in (0.1, 0.2, 0.3, 0.4)]
    refit = scene.offer(0.05, n_models=3, kind=TrialKind.REFIT)
    scene.write_all()
    with_files = {name for name, model in scene.ledger.models.items() if model is not None}
    assert with_files == {blocker, *names[2:], refit}
    assert set(scene.ledger.ends) == {blocker, *names, refit}


def test_a_file_that_can_not_be_written_fails_its_trial_alone(scene: Scene) -> None:
    scene.writer.is_failing = True
    lost = scene.offer(0.5)
    scene.write_all()
    assert scene.ledger.ends[lost].cause == "crashed"


def test_a_trial_dropped_while_it_waits_is_never_told_of(scene: Scene) -> None:
    first = scene.offer(0.5)
    until(lambda: scene.writer.orders)
    dropped = scene.offer(0.6)
    scene.ledger.stop[dropped] = 0
    scene.write_all()
    assert set(scene.ledger.ends) == {first}


@pytest.mark.slow
def test_a_writer_that_is_killed_is_started_again_and_serves_the_trials_to_come(
    builtin: Builtin, make_task: MakeTask, tmp_path: Path
) -> None:
    engine = NativeEngine(n_slots=1, explain=lambda _: None)
    params = {"layers": 1, "units": 8, "batch_size": 16}
    killed = threading.Event()

    def kill() -> None:
        while engine.writer.pid is None:
            time.sleep(0.01)
        time.sleep(0.3)
        os.kill(engine.writer.pid, signal.SIGKILL)
        killed.set()

    threading.Thread(target=kill, daemon=True).start()
    task = make_task(builtin("iris"), params, epochs=2, model=True)
    ledger = Ledger()
    engine.train([task], ledger)
    assert killed.is_set()
    model = ledger.models[task.trial.trial_id]
    assert model is not None
    assert model.exists()
    assert ledger.ends[task.trial.trial_id].state == "COMPLETE"
    pid = engine.writer.pid
    engine.train([make_task(builtin("iris"), params, epochs=2, model=True)], ledger)
    assert engine.writer.pid == pid
    engine.writer.close()
    assert engine.writer.pid is None


def test_a_writer_with_nothing_to_do_gives_its_memory_back() -> None:
    from workers.training.model_files.writer import ModelWriter

    writer = ModelWriter(idle_s=0.5)
    writer.start()
    assert writer.pid is not None
    until(lambda: writer.pid is None)
