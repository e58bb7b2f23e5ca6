"""Arena: data sets and trials for the suite, without a server, and a sink that records what an engine reports."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import polars as pl
import sklearn.datasets

from hpsearch.domain.dataset import Column, ColumnKind, DatasetProfile
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.metrics import direction_of
from hpsearch.domain.study import Split
from hpsearch.domain.task import TASKS, task_for
from hpsearch.domain.training import Training
from hpsearch.domain.trial import Measurement, Outcome, Params
from hpsearch.wire.claims import ClaimedTrial, StudyBrief
from workers.training.engine.contract import Engine
from workers.training.engine.epoch_callbacks import Metrics
from workers.training.engine.task import TrialTask

_LOADERS: dict[str, Any] = {
    "iris": sklearn.datasets.load_iris,
    "digits": sklearn.datasets.load_digits,
    "breast_cancer": sklearn.datasets.load_breast_cancer,
    "diabetes": sklearn.datasets.load_diabetes,
}


@dataclass(frozen=True)
class Case:
    """One trial to train.

    Attributes:
        params: Its parameters.
        seed: Its seed.
        training: Limits and schedules.
        split: Of the rows.
        kind: Of the trial.
        refit_epochs: Of a refit.
        metric: The objective; None for the task's own.
    """

    params: Params
    seed: int = 1
    training: Training = field(default_factory=lambda: Training(max_epochs=3, early_stopping=None))
    split: Split = field(default_factory=Split)
    kind: TrialKind = TrialKind.SEARCH
    refit_epochs: int | None = None
    metric: str | None = None


@dataclass(frozen=True)
class TrialRecord:
    """What an engine said of one trial.

    Attributes:
        history: Metrics of each epoch.
        outcome: None for a trial that was dropped.
        model: The file, if one was written.
    """

    history: tuple[Metrics, ...]
    outcome: Outcome | None
    model: Path | None


class Recorder:
    """A sink that remembers everything and has further trials to give.

    Args:
        later: Given out when asked for.
        keep: Whether models are wanted.
        stop_after: Trial ids to drop, each after so many epochs.
    """

    def __init__(
        self, later: Sequence[TrialTask] = (), *, keep: bool = False, stop_after: dict[str, int] | None = None
    ) -> None:
        self.epochs: dict[str, list[Measurement]] = {}
        self.ends: dict[str, tuple[Outcome, Path | None]] = {}
        self.faults: list[str] = []
        self._later = list(later)
        self._keep = keep
        self._stop_after = stop_after or {}
        self._voice = threading.Lock()

    def _alone(self, what: str) -> None:
        if not self._voice.acquire(blocking=False):
            self.faults.append(f"two threads spoke at once ({what})")
        else:
            self._voice.release()

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        """Take one epoch."""
        self._alone("epoch")
        reported = self.epochs.setdefault(task.trial.trial_id, [])
        if measurement.epoch != len(reported) + 1:
            self.faults.append(f"epoch {measurement.epoch} after {len(reported)}")
        reported.append(measurement)

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        """Take an end."""
        self._alone("end")
        if task.trial.trial_id in self.ends:
            self.faults.append("a second end")
        self.ends[task.trial.trial_id] = outcome, model

    def should_stop(self, task: TrialTask) -> bool:
        """Return whether the trial has had its epochs."""
        name = task.trial.trial_id
        return name in self._stop_after and len(self.epochs.get(name, ())) >= self._stop_after[name]

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Return what was asked for at the start."""
        del task, value
        return self._keep

    def more(self, n: int) -> Sequence[TrialTask]:
        """Return further trials."""
        given, self._later = self._later[:n], self._later[n:]
        return given

    def wait(self, timeout_s: float) -> None:
        """Return at once: nothing arrives by itself."""
        threading.Event().wait(min(timeout_s, 0.01))

    def trained(self, task: TrialTask) -> None:
        """Take no note."""


class Arena:
    """Data sets as a worker has them, in a folder that goes with it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hpsearch-conformance-")
        self._sets: dict[str, tuple[Path, DatasetProfile, str]] = {}
        self._truth: dict[tuple[Engine, str, str], TrialRecord] = {}
        self._n_tasks = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def task(self, data: str, case: Case) -> TrialTask:
        """Return a case as a trial on a data set, with a path for its model."""
        content, profile, digest = self._set(data)
        self._n_tasks += 1
        metric = case.metric or TASKS[profile.task].default_metric
        trial = ClaimedTrial(
            trial_id=f"{data}-{self._n_tasks}",
            study_id=f"{data}-{metric}-{case.split.model_dump_json()}",
            number=self._n_tasks,
            kind=case.kind,
            attempt=1,
            params=case.params,
            seed=case.seed,
            refit_epochs=case.refit_epochs,
        )
        study = StudyBrief(
            study_id=trial.study_id,
            name=f"conformance on {data}",
            dataset_id=data,
            dataset_digest=digest,
            task=profile.task,
            split=case.split,
            metric=metric,
            direction=direction_of(metric),
            training=case.training,
            data_order_seed=0,
            # All models: none is made superfluous by another.
            n_models=10_000,
        )
        path = Path(self._folder.name) / f"{self._n_tasks}.keras"
        return TrialTask(trial, study, content, profile, path)

    def train(
        self, engine: Engine, data: str, cases: Sequence[Case], *, at_first: int | None = None, keep: bool = False
    ) -> list[TrialRecord]:
        """Train cases and return what the engine said of each.

        Args:
            engine: Trains.
            data: Name of the data set.
            cases: Any.
            at_first: How many the engine gets at once, the rest when it asks for more; None for all.
            keep: Whether models are wanted.

        Raises:
            RuntimeError: The engine spoke out of turn.
        """
        tasks = [self.task(data, case) for case in cases]
        n = len(tasks) if at_first is None else at_first
        recorder = Recorder(tasks[n:], keep=keep)
        engine.train(tasks[:n], recorder)
        # An engine that does not ask gets the rest in further calls, as from a trainer process.
        while left := recorder.more(engine.n_slots):
            engine.train(left, recorder)
        if recorder.faults:
            raise RuntimeError("; ".join(recorder.faults))
        return [record_of(recorder, task) for task in tasks]

    def truth(self, engine: Engine, data: str, cases: Sequence[Case]) -> list[TrialRecord]:
        """Return what the reference says of cases, trained once however often it is asked for.

        Args:
            engine: The reference, of either number type.
            data: Name of the data set.
            cases: Any.
        """
        missing = [case for case in cases if (engine, data, repr(case)) not in self._truth]
        for case, record in zip(missing, self.train(engine, data, missing) if missing else (), strict=True):
            self._truth[engine, data, repr(case)] = record
        return [self._truth[engine, data, repr(case)] for case in cases]

    def _set(self, name: str) -> tuple[Path, DatasetProfile, str]:
        if name not in self._sets:
            frame, profile = _built_in(name)
            content = Path(self._folder.name) / f"{name}.parquet"
            frame.write_parquet(content)
            self._sets[name] = content, profile, hashlib.sha256(content.read_bytes()).hexdigest()
        return self._sets[name]


def record_of(recorder: Recorder, task: TrialTask) -> TrialRecord:
    """Return what a recorder took of a trial."""
    name = task.trial.trial_id
    outcome, model = recorder.ends.get(name, (None, None))
    return TrialRecord(tuple(epoch.metrics for epoch in recorder.epochs.get(name, ())), outcome, model)


def _built_in(name: str) -> tuple[pl.DataFrame, DatasetProfile]:
    loaded = _LOADERS[name]()
    target = np.asarray(loaded.target)
    classes = () if name == "diabetes" else tuple(str(label) for label in loaded.target_names)
    task = task_for(len(classes))
    names = [f"x{number}" for number in range(loaded.data.shape[1])]
    profile = DatasetProfile(
        n_rows=len(loaded.data),
        columns=tuple(Column(name=column, kind=ColumnKind.REAL) for column in names),
        target="target",
        task=task.name,
        classes=classes,
        class_counts=tuple(int(count) for count in np.bincount(target)) if classes else (),
    )
    frame = pl.DataFrame({column: loaded.data[:, number] for number, column in enumerate(names)})
    labels = [classes[code] for code in target] if classes else target.astype(np.float64)
    return frame.with_columns(pl.Series("target", labels)), profile
