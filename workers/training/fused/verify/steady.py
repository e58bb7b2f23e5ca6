"""Not a point of the contract, but a promise: memory and time of a trial stay the same over 500 trials in a process."""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path
from typing import Final, cast

import numpy as np
import psutil

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.space import Space
from hpsearch.domain.study import Split
from hpsearch.domain.training import Training
from hpsearch.domain.trial import Measurement, Outcome, Params
from hpsearch.wire.claims import ClaimedTrial, StudyBrief
from workers.training.engine.rows import RowsCache
from workers.training.engine.task import TrialTask
from workers.training.fused.engine import FusedEngine
from workers.training.fused.verify import Finding
from workers.training.fused.verify.bench import Bench, SameRows

# Plain Keras leaks about 2.5 MB a model.
MIB_PER_TRIAL: Final = 0.1
SLOWDOWN: Final = 1.3
_BATCH: Final = 50
# Until then programs are compiled and allocators fill up.
_WARM: Final = 3
_EVERY: Final = 25
_SPACE: Final = Space.model_validate(
    {
        "layers": {"values": [1, 2]},
        "units": {"type": "int", "low": 8, "high": 57},
        "batch_size": 16,
        "optimizer": {"values": ["adamw", "nesterov", "rmsprop"]},
        "dropout": {"values": [0.0, 0.1, 0.2]},
    }
)


class _Silence:
    """A sink that keeps a few models and forgets the rest."""

    def __init__(self) -> None:
        self.n_finished = 0

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        del task, measurement

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        del task, outcome
        self.n_finished += 1
        if model is not None:
            model.unlink()

    def should_stop(self, task: TrialTask) -> bool:
        del task
        return False

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        del value
        return task.trial.number % _EVERY == 0


def check(n_trials: int = 500) -> list[Finding]:
    """Return how memory and CPU time of a trial grow, from the fourth batch of 50 to the last; every 25th is exported.

    Args:
        n_trials: At least 300, a multiple of 50.
    """
    process = psutil.Process()
    bench = Bench("iris", "float32")
    engine = FusedEngine(explain=lambda _: None)
    engine.rows = cast("RowsCache", SameRows(bench.rows))
    sink = _Silence()
    mib, cpu_s = [], []
    with tempfile.TemporaryDirectory() as directory:
        for first in range(0, n_trials, _BATCH):
            tasks = [task_of(bench, first + number, Path(directory)) for number in range(_BATCH)]
            started_s = time.process_time()
            engine.train(tasks, sink)
            cpu_s.append((time.process_time() - started_s) / _BATCH)
            gc.collect()
            mib.append(process.memory_info().rss / 2**20)
    trials = np.arange(len(mib))[_WARM:] * _BATCH
    growth = float(np.polyfit(trials, mib[_WARM:], 1)[0])
    settled = cpu_s[_WARM:]
    third = len(settled) // 3
    slowdown = float(np.median(settled[-third:]) / np.median(settled[:third]))
    lost = float(n_trials - sink.n_finished)
    return [
        Finding(
            0,
            f"MiB a trial adds, over {n_trials} trials ({mib[_WARM]:.0f} to {mib[-1]:.0f} MiB)",
            growth,
            MIB_PER_TRIAL,
        ),
        Finding(
            0, f"CPU time of the last trials over that of the first ({settled[0] * 1e3:.0f} ms)", slowdown, SLOWDOWN
        ),
        Finding(0, f"trials of {n_trials} that did not end", lost, 0.0),
    ]


def task_of(bench: Bench, number: int, directory: Path) -> TrialTask:
    """Return a small trial, like others of near numbers but not the same."""
    params: Params = {
        "layers": 1 + number % 2,
        "units": 8 + number % 50,
        "batch_size": 16,
        "optimizer": ("adamw", "nesterov", "rmsprop")[number % 3],
        "dropout": 0.1 * (number % 3),
    }
    trial = ClaimedTrial(
        trial_id=str(number),
        study_id="study",
        number=number,
        kind=TrialKind.SEARCH,
        attempt=1,
        params=params,
        seed=number,
    )
    study = StudyBrief(
        study_id="study",
        name="verify",
        dataset_id="data",
        dataset_digest=bench.rows.table.digest,
        task=bench.task,
        split=Split(),
        metric=bench.metric,
        direction=bench.objective.resolved_direction,
        training=Training(max_epochs=8, early_stopping=None),
        data_order_seed=0,
        space=_SPACE,
        max_trials=_BATCH,
        open_trials=_BATCH,
    )
    return TrialTask(trial, study, directory, bench.rows.table.profile, directory / f"{number}.keras")
