"""Model files: what anyone's Keras says of the raw rows is what was reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from hpsearch.data.split import split_rows
from hpsearch.data.table import read_table
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.study import Split
from hpsearch.domain.training import EarlyStopping, Training
from workers.training.conformance import Finding
from workers.training.conformance.arena import Arena, Case, Recorder, TrialRecord, record_of
from workers.training.engine.contract import Engine
from workers.training.engine.scores import score
from workers.training.engine.task import TrialTask

BOUND: Final = 1e-5
_TRAINING: Final = Training(max_epochs=8, early_stopping=EarlyStopping(patience=3))
_DATA: Final = ("iris", "breast_cancer", "diabetes")
_PARAMS: Final[list[dict[str, Any]]] = [
    {"layers": 2, "units": 20, "activation": "sigmoid", "batch_norm": True},
    {"layers": 2, "units_1": 50, "units_2": 7, "dropout": 0.3, "optimizer": "adamw", "weight_decay": 0.01},
    {"layers": 0, "learning_rate": 0.03},
]


def model_files(arena: Arena, engine: Engine, data: Sequence[str] = _DATA) -> list[Finding]:
    """Return how far the loaded files' scores are from the reported values: of hold-out trials and of a refit."""
    findings = []
    for name in data:
        whole = [Case(params, number, _TRAINING) for number, params in enumerate(_PARAMS)]
        # One whose best epoch is not its last.
        whole.append(Case({"layers": 1, "units": 30, "learning_rate": 0.1}, 8, _TRAINING, metric="loss"))
        whole.append(Case(_PARAMS[0], 9, _TRAINING, kind=TrialKind.REFIT, refit_epochs=4))
        tasks = [arena.task(name, case) for case in whole]
        recorder = Recorder(keep=True)
        engine.train(tasks, recorder)
        findings += [
            Finding(f"file against report: {name}, {task.trial.kind}", _apart(task, record_of(recorder, task)), BOUND)
            for task in tasks
        ]
        folded = Case(_PARAMS[0], 5, _TRAINING, Split(folds=3))
        (record,) = arena.train(engine, name, [folded], keep=True)
        findings.append(Finding(f"files missing of a cross-validated trial: {name}", float(record.model is None), 0.0))
    return findings


def _apart(task: TrialTask, record: TrialRecord) -> float:
    if record.model is None or record.outcome is None or record.outcome.value is None:
        return float("inf")
    import keras

    table = read_table(task.content, task.profile, task.study.dataset_digest)
    rows = split_rows(table, task.study.task, task.study.split)
    judged = rows.test if task.trial.kind == TrialKind.REFIT else rows.folds[0].validation
    raw = np.stack([table.columns[column.name][judged] for column in task.profile.columns], axis=1)
    outputs = np.asarray(keras.models.load_model(record.model)(raw.astype(np.float32)))
    value = score(task.study.task, outputs.astype(np.float64), table.target[judged])[task.study.metric]
    # What was reported in training: the file's own score replaces it in the outcome where the two differ.
    best = record.history[(record.outcome.best_epoch or 0) - 1]
    reported = record.outcome.value if task.trial.kind == TrialKind.REFIT else best[task.study.metric]
    if reported is None:
        return float("inf")
    return float("inf") if value is None else abs(value - reported) / max(1.0, abs(reported))
