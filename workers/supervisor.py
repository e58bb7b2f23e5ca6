"""Supervisor: keeps the trainer processes alive and supplied, and notices when one dies, hangs or grows."""

from __future__ import annotations

import itertools
import queue
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.trial import MAX_DETAIL_CHARACTERS, Outcome
from hpsearch.errors import HpsearchError
from workers.courier import Courier
from workers.devices import Seat
from workers.ledger import Assignment, Ledger
from workers.link import Link
from workers.messages import Broken, Epoch, Event, Finished, Idle, Ready, Threshold, Train
from workers.options import WorkerOptions
from workers.thresholds import Thresholds
from workers.trainer import Phase, Trainer

_TICK_S: Final = 0.2
# A tick that took longer than this means that the worker itself stood still; nobody else is to blame.
_FROZEN_S: Final = 5.0
_MAX_START_FAILURES: Final = 3
_RESTART_PAUSE_S: Final = 1.0


class Supervisor:
    """The trainers of one worker, all handled by the thread that calls `run`.

    Everything others want of it goes through its inbox as a call, so that no two threads touch a trainer.

    Args:
        seats: One for each trainer.
        options: Of the worker.
        folder: For logs and models, this worker's own.
        link: Ends `run` when stopped.
        ledger: The trials held.
        thresholds: Which models are wanted.
        courier: Takes outcomes.
        log: Takes the lines.

    Attributes:
        on_free: Called when a trainer becomes idle.
    """

    def __init__(
        self,
        *,
        seats: Sequence[Seat],
        options: WorkerOptions,
        folder: Path,
        link: Link,
        ledger: Ledger,
        thresholds: Thresholds,
        courier: Courier,
        log: Any,
    ) -> None:
        self.on_free: Callable[[], None] = lambda: None
        self._seats = tuple(seats)
        self._options = options
        self._folder = folder
        self._link = link
        self._ledger = ledger
        self._thresholds = thresholds
        self._courier = courier
        self._log = log
        # Not a SimpleQueue: interrupted by a signal, its get(timeout=…) can wait for ever (seen with CPython 3.11.7).
        self._inbox: queue.Queue[Callable[[], None]] = queue.Queue()
        self._trainers: list[Trainer | None] = [None] * len(self._seats)
        self._restart_s = [0.0] * len(self._seats)
        self._ready_tasks: deque[Train] = deque()
        self._n_idle = 0
        self._n_start_failures = 0
        self._numbers = itertools.count()
        self._has_spoken = False
        self._busy_s = time.monotonic()

    # What other threads may call.

    def n_free(self) -> int:
        """Return how many more trials could be started now."""
        return self._n_idle - self._ledger.n_unstarted()

    def start_trial(self, assignment: Assignment, content: Path, profile: DatasetProfile) -> None:
        """Take a trial whose data is here."""
        self._inbox.put(partial(self._enqueue, assignment, content, profile))

    def drop(self, assignment: Assignment) -> None:
        """Stop a trial that nobody wants any more."""
        self._inbox.put(partial(self._drop, assignment))

    def kill(self) -> None:
        """End all trainer processes at once."""
        for trainer in self._trainers:
            if trainer is not None:
                trainer.kill()

    def close(self) -> None:
        """End all trainer processes, after `run` has returned."""
        self.kill()
        for trainer in self._trainers:
            if trainer is not None:
                trainer.close()

    # The thread of `run`.

    def start(self) -> None:
        """Start all trainers; they are ready some seconds later."""
        for position in range(len(self._seats)):
            self._start(position)

    def run(self) -> None:
        """Supervise until the link is stopped or the worker was idle for long enough."""
        ticked_s = time.monotonic()
        while not self._link.stop.is_set():
            with suppress(queue.Empty):
                self._inbox.get(timeout=_TICK_S)()
                continue_until_s = time.monotonic() + _TICK_S
                while time.monotonic() < continue_until_s:
                    self._inbox.get_nowait()()
            now_s = time.monotonic()
            self._excuse(now_s - ticked_s)
            ticked_s = now_s
            self._look(now_s)

    def _excuse(self, gap_s: float) -> None:
        """Do not count the time in which this process itself was stopped against the trainers."""
        if gap_s > _FROZEN_S:
            for trainer in self._trainers:
                if trainer is not None:
                    trainer.started_s += gap_s
                    if trainer.assignment is not None:
                        trainer.assignment.progress_s += gap_s

    def _look(self, now_s: float) -> None:
        for position, trainer in enumerate(self._trainers):
            if trainer is None:
                if now_s >= self._restart_s[position]:
                    self._start(position)
            elif trainer.phase == Phase.STARTING and now_s - trainer.started_s > self._options.start_timeout_s:
                trainer.kill()
            elif trainer.assignment is not None:
                self._check_progress(trainer, trainer.assignment, now_s)
        if self._n_idle == 0 or self._ledger.held():
            self._busy_s = now_s
        elif self._options.max_idle_s is not None and now_s - self._busy_s > self._options.max_idle_s:
            self._log.info(f"no trials for {self._options.max_idle_s:g} s: leaving")
            self._link.stop.set()

    def _check_progress(self, trainer: Trainer, assignment: Assignment, now_s: float) -> None:
        limit_s = assignment.study.training.stall_timeout_s
        if now_s - assignment.progress_s <= limit_s or trainer.process.poll() is not None:
            return
        detail = f"no progress for {limit_s:g} s after epoch {assignment.n_epochs}: the trainer process was killed"
        self._log.error(f"{assignment.title}: {detail}")
        self._settle(assignment, Outcome(state="FAILED", cause="stalled", detail=detail))
        trainer.kill()

    def _start(self, position: int) -> None:
        engine = "stub" if self._options.engine == "stub" else "reference"
        log = self._folder / f"trainer-{position}.log"
        try:
            self._trainers[position] = Trainer(self._seats[position], engine, log, self._hear)
        except OSError as error:
            self._log.error(f"a trainer process can not be started: {(error.strerror or str(error)).lower()}")
            self._restart_s[position] = time.monotonic() + _RESTART_PAUSE_S

    def _hear(self, trainer: Trainer, event: Event | None) -> None:
        self._inbox.put(partial(self._on_end, trainer) if event is None else partial(self._on_event, trainer, event))

    def _on_event(self, trainer: Trainer, event: Event) -> None:
        match event:
            case Ready():
                self._on_ready(trainer, event)
            case Broken(message=message):
                self._link.fail(HpsearchError(message, code="worker.can_not_train"))
            case Epoch():
                self._on_epoch(trainer, event)
            case Finished():
                self._on_finished(event)
            case Idle():
                self._on_idle(trainer)

    def _on_ready(self, trainer: Trainer, ready: Ready) -> None:
        self._n_start_failures = 0
        if not self._has_spoken:
            self._has_spoken = True
            self._log.info("trainer ready", engine=ready.engine)
            if trainer.seat.device.kind == "gpu" and ready.n_gpus == 0 and self._options.engine != "stub":
                self._log.warning(
                    "TensorFlow can not use the GPU of this machine: training on the CPU instead; "
                    "run  pip install 'hpsearch[gpu]'  or look at the driver"
                )
        self._free(trainer)

    def _on_epoch(self, trainer: Trainer, epoch: Epoch) -> None:
        assignment = self._ledger.get(epoch.ticket)
        if assignment is None:
            return
        assignment.n_epochs += 1
        assignment.progress_s = time.monotonic()
        self._ledger.measure(assignment, epoch.measurement)
        threshold = self._thresholds.of(assignment.study.study_id)
        if threshold != trainer.threshold:
            trainer.threshold = threshold
            trainer.say(Threshold(ticket=epoch.ticket, threshold=threshold))

    def _on_finished(self, finished: Finished) -> None:
        assignment = self._ledger.get(finished.ticket)
        if assignment is None:
            if finished.model is not None:
                finished.model.unlink(missing_ok=True)
            return
        assignment.is_trained = True
        assignment.progress_s = time.monotonic()
        outcome = finished.outcome
        self._log.info(
            f"finished {assignment.title}",
            state=outcome.state,
            value=outcome.value,
            epochs=assignment.n_epochs,
            seconds=round(outcome.device_seconds, 2),
            **({} if outcome.cause is None else {"cause": outcome.cause}),
        )
        self._courier.deliver(assignment, outcome, finished.model)

    def _on_idle(self, trainer: Trainer) -> None:
        trainer.assignment = None
        memory_bytes = trainer.memory_bytes()
        if trainer.base_memory_bytes is None:
            trainer.base_memory_bytes = memory_bytes
        grown_bytes = memory_bytes - trainer.base_memory_bytes
        limit_bytes = self._options.max_memory_bytes
        if grown_bytes > self._options.max_growth_bytes or (limit_bytes is not None and memory_bytes > limit_bytes):
            self._log.info("replacing a trainer whose memory has grown", memory_mb=memory_bytes >> 20)
            trainer.leave()
        else:
            self._free(trainer)

    def _free(self, trainer: Trainer) -> None:
        trainer.phase = Phase.IDLE
        self._n_idle += 1
        self._supply()
        self.on_free()

    def _enqueue(self, assignment: Assignment, content: Path, profile: DatasetProfile) -> None:
        self._ready_tasks.append(
            Train(
                ticket=assignment.ticket,
                trial=assignment.trial,
                study=assignment.study,
                profile=profile,
                content=content,
                model_path=self._folder / f"{next(self._numbers)}.keras",
            )
        )
        self._supply()

    def _supply(self) -> None:
        """Give the waiting trials to idle trainers."""
        for trainer in self._trainers:
            while self._ready_tasks and trainer is not None and trainer.phase == Phase.IDLE:
                train = self._ready_tasks.popleft()
                assignment = self._ledger.get(train.ticket)
                if assignment is None or assignment.outcome is not None:
                    continue
                # First one idle trainer less, then one unstarted trial less: the claimer never sees one too many.
                self._n_idle -= 1
                trainer.phase = Phase.TRAINING
                trainer.assignment = assignment
                assignment.started_s = assignment.progress_s = time.monotonic()
                assignment.is_started = True
                trainer.threshold = self._thresholds.of(assignment.study.study_id)
                trainer.say(train.model_copy(update={"threshold": trainer.threshold}))

    def _drop(self, assignment: Assignment) -> None:
        for trainer in self._trainers:
            if trainer is not None and trainer.assignment is assignment:
                trainer.drop()
        self.on_free()

    def _on_end(self, trainer: Trainer) -> None:
        """Deal with a process that has ended: its trial has failed, its seat is filled again."""
        position = self._trainers.index(trainer)
        was = trainer.phase
        ending = trainer.ending()
        trainer.close()
        self._trainers[position] = None
        if was == Phase.IDLE:
            self._n_idle -= 1
        if trainer.assignment is not None:
            detail = ending[-MAX_DETAIL_CHARACTERS:]
            self._settle(trainer.assignment, Outcome(state="FAILED", cause="crashed", detail=detail))
        if was == Phase.LEAVING:
            self._start(position)
            return
        if self._link.stop.is_set():
            return
        self._log.error(f"{ending}: starting another", was=was.name.lower())
        if was == Phase.STARTING:
            self._n_start_failures += 1
            if self._n_start_failures >= _MAX_START_FAILURES:
                msg = f"the trainer process can not be started, {_MAX_START_FAILURES} times in a row: {ending}"
                self._link.fail(HpsearchError(msg, code="worker.can_not_train"))
                return
            self._restart_s[position] = time.monotonic() + _RESTART_PAUSE_S
            return
        self._start(position)

    def _settle(self, assignment: Assignment, outcome: Outcome) -> None:
        if not assignment.is_trained:
            seconds = max(0.0, time.monotonic() - assignment.started_s)
            self._ledger.settle(assignment, outcome.model_copy(update={"device_seconds": seconds}))
