"""ReferenceEngine: one trial after another with plain Keras, the truth other engines are compared with."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import keras

from hpsearch.domain.trial import Outcome
from workers.training.engine.contract import Sink
from workers.training.engine.failures import StoppedError, outcome_of
from workers.training.engine.numerics import DType
from workers.training.engine.rows import RowsCache, StudyRows
from workers.training.engine.task import TrialTask
from workers.training.engine.trial_kinds import Result, run_trial
from workers.training.keras_networks import runtime
from workers.training.model_files.export import export
from workers.training.reference.fit import fit


class ReferenceEngine:
    """Trains trials one by one with `model.fit`, Keras's optimisers and Keras's callbacks.

    A trial's curve is a function of its parameters, its seed, the study's data and the study's data-order seed; not of
    the trials before it in the process.

    Args:
        dtype: Of weights and computation; `float64` is for tests of exactness.
    """

    def __init__(self, dtype: DType = "float32") -> None:
        runtime.configure()
        runtime.settle()
        self._dtype: DType = dtype
        self._rows = RowsCache(dtype)

    @property
    def n_slots(self) -> int:
        """How many trials it trains at the same time: one."""
        return 1

    @property
    def capacity(self) -> int:
        """How many trials it can usefully hold: one, because others may be free for the next."""
        return 1

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        """Train every task; each ends in exactly one `sink.finished`, unless `sink.should_stop` answered yes."""
        for task in tasks:
            self._train_one(task, sink)

    def _train_one(self, task: TrialTask, sink: Sink) -> None:
        started_s = time.perf_counter()
        try:
            with _floats(self._dtype):
                outcome, model = self._outcome(task, sink)
        except StoppedError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a trial raises is its outcome, the next one goes on
            outcome, model = outcome_of(error), None
        finally:
            # Out here, where nothing holds the network any more.
            runtime.tidy()
        outcome = outcome.model_copy(update={"device_seconds": time.perf_counter() - started_s})
        sink.finished(task, outcome, model)

    def _outcome(self, task: TrialTask, sink: Sink) -> tuple[Outcome, Path | None]:
        study = self._rows.of(task)
        return self._export(task, study, run_trial(task, study, sink, fit, self._dtype), sink)

    def _export(self, task: TrialTask, study: StudyRows, result: Result, sink: Sink) -> tuple[Outcome, Path | None]:
        value = result.outcome.value
        if task.model_path is None or value is None or not sink.keeps_model(task, value):
            return result.outcome, None
        exported = export(task, study, result.source(), result.outcome, task.model_path)
        return exported.outcome, exported.path


@contextmanager
def _floats(dtype: DType) -> Iterator[None]:
    """Make Keras keep learning rates and optimiser slots in the type; put its own setting back afterwards."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
