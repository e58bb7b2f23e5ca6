"""KerasThread: the one thread that uses plain Keras beside the packs, for whole trials and model files."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hpsearch.domain.trial import Outcome
from workers.training.engine.contract import Engine
from workers.training.engine.failures import outcome_of
from workers.training.engine.numerics import Arrays
from workers.training.engine.sink_adapters import LockedSink, SkippingSink
from workers.training.engine.task import TrialTask
from workers.training.fused.trial_run import TrialRun
from workers.training.model_files.export import export


class KerasThread:
    """Does one thing after another, off the thread that drives the packs; Keras's own state is not for two threads.

    Args:
        reference: Trains what the packs can not.
        sink: Receives epochs and ends.

    Attributes:
        futures: What is under way.
        n_training: Trials that it trains or that wait to be trained.
    """

    def __init__(self, reference: Engine, sink: LockedSink) -> None:
        self.futures: set[Future[None]] = set()
        self.n_training = 0
        self._reference = reference
        self._sink = sink
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="keras")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=error is not None)

    def done(self, future: Future[Any]) -> None:
        """Take note of an end.

        Raises:
            Exception: What the sink raised.
        """
        self.futures.discard(future)
        future.result()

    def train(self, task: TrialTask, *, n_reported: int = 0) -> None:
        """Train a trial by the reference.

        Args:
            task: The trial.
            n_reported: Epochs of it that the sink has heard of already.
        """
        self.n_training += 1
        self.futures.add(self._pool.submit(self._train, task, n_reported))

    def _train(self, task: TrialTask, n_reported: int) -> None:
        sink = SkippingSink(self._sink, n_reported)
        self._reference.train([task], sink)
        self.n_training -= 1
        if not sink.is_finished:
            self._sink.take(-1)

    def export(self, run: TrialRun, outcome: Outcome, weights: Callable[[], Arrays], path: Path) -> None:
        """Write a trial's model file, then report the trial's end.

        Args:
            run: The trial, complete.
            outcome: Of it.
            weights: Gives its best weights in Keras's order.
            path: Where to write.
        """
        self.futures.add(self._pool.submit(self._export, run, outcome, weights, path))

    def _export(self, run: TrialRun, outcome: Outcome, weights: Callable[[], Arrays], path: Path) -> None:
        started_s = time.perf_counter()
        model: Path | None = None
        try:
            exported = export(run.task, run.study, run.source(weights), outcome, path)
            outcome, model = exported.outcome, exported.path
        except Exception as error:  # noqa: BLE001 - whatever a trial raises is its outcome, the next one goes on
            outcome = outcome_of(error)
        spent_s = run.device_s + time.perf_counter() - started_s
        self._sink.finished(run.task, outcome.model_copy(update={"device_seconds": spent_s}), model)
