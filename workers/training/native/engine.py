"""NativeEngine: one trial a core, each at its exact size, without TensorFlow."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from hpsearch.domain.trial import Outcome
from workers.devices import available_bytes, cpu_cores
from workers.training.engine.contract import Engine, Sink
from workers.training.engine.failures import StoppedError, outcome_of
from workers.training.engine.numerics import DType
from workers.training.engine.rows import RowsCache, StudyRows
from workers.training.engine.sink_adapters import LockedSink
from workers.training.engine.task import TrialTask
from workers.training.engine.trial_kinds import run_trial
from workers.training.model_files.file_queue import ModelFileQueue
from workers.training.model_files.writer import ModelWriter
from workers.training.native.fit import fit
from workers.training.native.kernel_store import prepare_kernels
from workers.training.native.memory import MemoryGate

_LOG = logging.getLogger("hpsearch.native")
# What passes between the end of a trial and the arrival of the next claimed one, on a busy machine.
_CLAIM_S: Final = 0.2
# Weight of the last trial in the mean length of trials.
_LATELY: Final = 0.1
# How long a thread without work sleeps before it looks whether all others are done.
_LOOK_S: Final = 0.1


class NativeEngine:
    """Trains trials side by side, one in each thread, which computes without Python's lock.

    A trial's curve is a function of its parameters, its seed, the study's data and data-order seed alone: threads share
    nothing but the rows. Reports of one trial come in order, those of different trials interleave; the sink is never
    called from two threads at once.

    BLAS must be told to use one thread before it is loaded (`OPENBLAS_NUM_THREADS=1`), as the worker does.

    Args:
        dtype: Of weights and computation; `float64` is for tests of exactness.
        n_slots: Trials trained at the same time; None for one a core.
        explain: Takes a sentence for the log; None sends it to the logger `hpsearch.native`.
        kernels: Folder to keep compiled kernels in where the package's own can not be written; None for none.
        memory_bytes: What all trials in training may take together; None for three quarters of what is free now.
        reference: Makes the engine that trains what a study wants trained by plain Keras.

    Raises:
        ModuleNotFoundError: numba is not installed.
    """

    def __init__(
        self,
        dtype: DType = "float32",
        *,
        n_slots: int | None = None,
        explain: Callable[[str], None] | None = None,
        kernels: Path | None = None,
        memory_bytes: int | None = None,
        reference: Callable[[], Engine] | None = None,
    ) -> None:
        self._explain = explain or _LOG.info
        prepare_kernels(dtype, kernels, self._explain)
        self.dtype: DType = dtype
        self._n_slots = n_slots or cpu_cores()
        self.memory = MemoryGate(memory_bytes or (available_bytes() or 2**32) * 3 // 4)
        self._writer = ModelWriter()
        self._rows = RowsCache(dtype, size=8)
        self._rows_lock = threading.Lock()
        self._make_reference = reference or self._plain_keras
        self._reference: Engine | None = None
        self._reference_lock = threading.Lock()
        # Taken for long until some have been seen.
        self._trial_s = 10 * _CLAIM_S

    @property
    def n_slots(self) -> int:
        """How many trials it trains at the same time."""
        return self._n_slots

    @property
    def capacity(self) -> int:
        """How many trials it can usefully hold: those in its slots, and what these train while a claim is under way.

        One at least. Long trials are left to other workers, which may be idle; of short ones more wait at hand.
        """
        n_ahead = math.ceil(self._n_slots * _CLAIM_S / max(self._trial_s, _CLAIM_S / 2))
        return self._n_slots + max(1, n_ahead)

    def note_length(self, seconds: float) -> None:
        """Take note of how long a trial took, for the trials to come are like those of late."""
        self._trial_s += (seconds - self._trial_s) * _LATELY

    @property
    def writer(self) -> ModelWriter:
        """The process that writes model files."""
        return self._writer

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        """Train every task; see `Engine`."""
        _Session(self, sink, tasks).run()

    def rows(self, task: TrialTask) -> StudyRows:
        """Return the rows of a task's study; threads share them."""
        with self._rows_lock:
            return self._rows.of(task)

    def by_reference(self, task: TrialTask, sink: Sink) -> None:
        """Train a trial with plain Keras, in this process, one at a time."""
        with self._reference_lock:
            if self._reference is None:
                self._explain(f"study {task.study.name} asks for plain Keras: loading TensorFlow into this trainer")
                self._reference = self._make_reference()
            self._reference.train([task], sink)

    def _plain_keras(self) -> Engine:
        from workers.training.keras_networks.quick_start import quick_start
        from workers.training.reference.engine import ReferenceEngine

        with quick_start():
            return ReferenceEngine(self.dtype)


class _Session:
    """One call of `NativeEngine.train`.

    Args:
        engine: Whose rows and memory are used.
        sink: Receives epochs and ends.
        tasks: To begin with.
    """

    def __init__(self, engine: NativeEngine, sink: Sink, tasks: Sequence[TrialTask]) -> None:
        self._engine = engine
        self._sink = LockedSink(sink)
        self._waiting = deque(tasks)
        self._lock = threading.Lock()
        self._n_busy = 0
        self._error: BaseException | None = None
        self._models = ModelFileQueue(self._sink, engine.writer, self._sink.trained)

    def run(self) -> None:
        """Train to the end."""
        threads = [
            threading.Thread(target=self._work, name=f"trial-{number}", daemon=True)
            for number in range(self._engine.n_slots)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._models.close()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while True:
                task = self._next()
                if task is not None:
                    with self._busy():
                        self._train(task)
                elif self._is_done():
                    return
                else:
                    self._sink.wait(_LOOK_S)
        except BaseException as error:  # noqa: BLE001 - what the sink raises is for the caller of `train`
            self._error = error

    def _next(self) -> TrialTask | None:
        with self._lock:
            if self._error is not None:
                return None
            if not self._waiting:
                self._waiting.extend(self._sink.more(1))
            if not self._waiting:
                return None
            # Counted here, under the lock: between two looks nobody may think that all is done.
            self._n_busy += 1
            return self._waiting.popleft()

    @contextmanager
    def _busy(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._n_busy -= 1

    def _is_done(self) -> bool:
        with self._lock:
            is_idle = not self._n_busy and not self._waiting
            return self._error is not None or (is_idle and (not self._sink.has_more or not self._models.n_waiting))

    def _train(self, task: TrialTask) -> None:
        if task.study.engine == "reference":
            self._engine.by_reference(task, self._sink)
            return
        started_s = time.perf_counter()
        try:
            fit_here = partial(fit, memory=self._engine.memory)
            result = run_trial(task, self._engine.rows(task), self._sink, fit_here, self._engine.dtype)
        except StoppedError:
            return
        except Exception as error:  # noqa: BLE001 - whatever a trial raises is its outcome, the next one goes on
            self._sink.finished(task, _timed(outcome_of(error), started_s), None)
            return
        self._engine.note_length(time.perf_counter() - started_s)
        self._models.offer(task, _timed(result.outcome, started_s), result.source)


def _timed(outcome: Outcome, started_s: float) -> Outcome:
    return outcome.model_copy(update={"device_seconds": time.perf_counter() - started_s})
