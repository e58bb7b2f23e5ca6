"""Point 6: the exported model of any member scores what was reported, and predicts what the member did."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import keras
import numpy as np

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.strict import Scalar
from hpsearch.domain.study import Split
from hpsearch.domain.training import EarlyStopping, Training
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.wire.claims import ClaimedTrial, StudyBrief
from workers.training.engine.rows import RowsCache
from workers.training.engine.scores import score
from workers.training.engine.task import TrialTask
from workers.training.fused.engine import FusedEngine
from workers.training.fused.verify import Finding
from workers.training.fused.verify.bench import Bench, SameRows

BOUND: Final = 1e-5
_PARAMS: Final[Sequence[dict[str, Scalar]]] = (
    {"layers": 2, "units": 20, "activation": "sigmoid", "batch_norm": True},
    {"layers": 2, "units_1": 50, "units_2": 7, "dropout": 0.3, "optimizer": "adamw", "weight_decay": 0.01},
    {"layers": 0, "learning_rate": 0.03},
)


class _Memory:
    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}
        self.ends: dict[str, tuple[Outcome, Path | None]] = {}

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        value = measurement.metrics[task.study.metric]
        self.values.setdefault(task.trial.trial_id, []).append(float("nan") if value is None else value)

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        self.ends[task.trial.trial_id] = outcome, model

    def should_stop(self, task: TrialTask) -> bool:
        del task
        return False

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        del task, value
        return True


def check(data: Sequence[str] = ("iris", "breast_cancer", "diabetes")) -> list[Finding]:
    """Return how far the loaded files' scores are from the best epochs' values as reported in training."""
    findings = []
    engine = FusedEngine()
    with tempfile.TemporaryDirectory() as directory:
        for name in data:
            bench = Bench(name, "float32")
            engine.rows = cast("RowsCache", SameRows(bench.rows))
            tasks = [_task(bench, number, Path(directory)) for number in range(len(_PARAMS))]
            memory = _Memory()
            engine.train(tasks, memory)
            for task, params in zip(tasks, _PARAMS, strict=True):
                what = f"{name}: file against report, {params}"
                findings.append(Finding(6, what, _apart(bench, task, memory), BOUND))
    return findings


def _apart(bench: Bench, task: TrialTask, memory: _Memory) -> float:
    outcome, model = memory.ends[task.trial.trial_id]
    if model is None or outcome.best_epoch is None:
        return float("inf")
    reported = memory.values[task.trial.trial_id][outcome.best_epoch - 1]
    held_out = bench.rows.fold(0).held_out
    if held_out is None:
        return float("inf")
    table = bench.rows.table
    raw = np.stack([table.columns[column.name][held_out.rows] for column in table.profile.columns], axis=1)
    outputs = np.asarray(keras.models.load_model(model)(raw))
    scale = bench.rows.fold(0).preparation.target_scale
    value = score(bench.task, outputs, held_out.truth, target_scale=scale)[bench.metric]
    return float("inf") if value is None else abs(value - reported) / max(1.0, abs(reported))


def _task(bench: Bench, number: int, directory: Path) -> TrialTask:
    trial = ClaimedTrial(
        trial_id=f"{bench.task}-{number}",
        study_id="study",
        number=number,
        kind=TrialKind.SEARCH,
        attempt=1,
        params=_PARAMS[number],
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
        training=Training(max_epochs=8, early_stopping=EarlyStopping(patience=3)),
        data_order_seed=0,
    )
    path = directory / f"{bench.task}-{number}.keras"
    return TrialTask(trial, study, directory, bench.rows.table.profile, path)
