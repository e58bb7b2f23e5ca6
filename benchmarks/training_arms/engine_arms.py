"""Our own engines on the list, fed as a worker feeds them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.training_arms.job import Job
from benchmarks.training_arms.ledger import Ledger, Mark
from benchmarks.training_arms.prepare import profile_of, split
from benchmarks.training_arms.workload import MAX_EPOCHS, Trial
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.training import Training
from hpsearch.wire.claims import ClaimedTrial, StudyBrief

if TYPE_CHECKING:
    from hpsearch.domain.trial import Measurement, Outcome
    from workers.training.engine.contract import Engine
    from workers.training.engine.task import TrialTask
    from workers.training.fused.engine import FusedEngine


def reference(job: Job, ledger: Ledger) -> None:
    """Train the trials one by one, with our engine of plain Keras."""
    from workers.training.keras_networks.quick_start import quick_start

    with quick_start():
        from workers.training.reference.engine import ReferenceEngine

    ReferenceEngine().train(_tasks(job), _Sink(ledger))


def native(job: Job, ledger: Ledger, log: list[str]) -> None:
    """Train them one a core with native kernels, from the start of a process; the kernels of the installation."""
    _train(*_native(job, log), job, ledger)


def native_warm(job: Job, ledger: Ledger, log: list[str]) -> Mark:
    """Train them twice in one process; return the moment at which the second time began, the one that is stored."""
    engine, capacity = _native(job, log)
    _train(engine, capacity, job, Ledger(job.scratch / "first.db"))
    began = Mark.now()
    _train(engine, capacity, job, ledger)
    return began


def fused(job: Job, ledger: Ledger, log: list[str]) -> None:
    """Train them in packs, from the start of a process."""
    engine = _engine(job, log)
    _train(engine, engine.capacity, job, ledger)


def fused_warm(job: Job, ledger: Ledger, log: list[str]) -> Mark:
    """Train them twice in one process; return the moment at which the second time began, the one that is stored."""
    engine = _engine(job, log)
    _train(engine, engine.capacity, job, Ledger(job.scratch / "first.db"))
    began = Mark.now()
    _train(engine, engine.capacity, job, ledger)
    return began


def throughput(job: Job, n_slots: int, log: list[str]) -> float:
    """Return trials per hour in packs of one size, all lanes of the device busy, programs compiled before.

    Args:
        job: Whose trials have one depth; they are repeated or cut as needed.
        n_slots: Members of each pack.
        log: Takes the engine's sentences.
    """
    engine = _engine(job, log, n_slots=n_slots)
    n_trials = n_slots * engine.device.n_parallel_packs
    listed = [replace(job.trials[number % len(job.trials)], number=number) for number in range(n_trials)]
    job = replace(job, trials=tuple(listed))
    _train(engine, engine.capacity, job, Ledger(job.scratch / f"first-{n_slots}.db"))
    began_s = time.monotonic()
    _train(engine, engine.capacity, job, Ledger(job.scratch / f"second-{n_slots}.db"))
    return 3600 * n_trials / (time.monotonic() - began_s)


def device_peak_bytes() -> int:
    """Return the largest memory this process has held on its GPU; 0 without one."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return 0
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _engine(job: Job, log: list[str], n_slots: int | None = None) -> FusedEngine:
    from workers.training.keras_networks.quick_start import quick_start

    with quick_start():  # as the trainer process does
        from workers.training.fused.engine import FusedEngine

        return FusedEngine(explain=log.append, programs=job.programs, n_slots=n_slots)


def _native(job: Job, log: list[str]) -> tuple[Engine, int]:
    """Return the engine and how many trials it takes at once, made as the trainer process makes it."""
    from workers.training.process.child import build_engine

    engine, ready = build_engine("native", job.scratch / "programs", log.append)
    assert type(engine).__name__ == "NativeEngine", f"asked for the native engine, received {ready.engine}"
    return engine, ready.capacity


def _train(engine: Engine, capacity: int, job: Job, ledger: Ledger) -> None:
    waiting = deque(_tasks(job))
    sink = _Refilling(ledger, waiting)
    engine.train(sink.more(capacity), sink)
    assert not waiting, f"{len(waiting)} trials were left over"


class _Sink:
    """Stores the ends of trials."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        del task, measurement

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        del model
        self._ledger.add(task.trial.number, outcome.value, outcome.epochs or 0)

    def should_stop(self, task: TrialTask) -> bool:
        del task
        return False

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        del task, value
        return False


class _Refilling(_Sink):
    """Has further trials for slots that fall free, as a worker's claims have."""

    def __init__(self, ledger: Ledger, waiting: deque[TrialTask]) -> None:
        super().__init__(ledger)
        self._waiting = waiting

    def more(self, n: int) -> Sequence[TrialTask]:
        return [self._waiting.popleft() for _ in range(min(n, len(self._waiting)))]


def _tasks(job: Job) -> list[TrialTask]:
    from workers.training.engine.task import TrialTask

    content, profile = job.data / "content.parquet", profile_of(job.data)
    brief = StudyBrief(
        study_id="study",
        name="benchmark",
        dataset_id="data",
        dataset_digest=job.data.name,
        task=profile.task,
        split=split(),
        metric="accuracy",
        direction="maximize",
        training=Training(max_epochs=MAX_EPOCHS, early_stopping=None),
        data_order_seed=0,
    )
    return [TrialTask(_claimed(trial), brief, content, profile) for trial in job.trials]


def _claimed(trial: Trial) -> ClaimedTrial:
    params: dict[str, Any] = trial.params
    return ClaimedTrial(
        trial_id=f"trial-{trial.number}",
        study_id="study",
        number=trial.number,
        kind=TrialKind.SEARCH,
        attempt=1,
        params=params,
        seed=trial.seed,
    )
