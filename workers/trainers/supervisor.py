"""Supervisor of the trainer processes: starts and restarts them, gives them trials, ends those that hang or grow."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from hpsearch.domain.trial import MAX_DETAIL_CHARACTERS, Outcome
from hpsearch.errors import HpsearchError
from hpsearch.wire.claims import StudyBrief
from hpsearch.wire.workers import WorkerProgress
from workers.assignments import Assignment, Assignments
from workers.devices import DeviceSlot
from workers.options import WorkerOptions
from workers.server.model_uploader import ModelUploader
from workers.server.server_session import ServerSession
from workers.throughput import Throughput
from workers.trainers.dispatcher import Dispatcher
from workers.trainers.messages import (
    Compiling,
    Dropped,
    Epoch,
    Event,
    Finished,
    Idle,
    LogMessage,
    Ready,
    Slots,
    StartFailed,
    Trained,
)
from workers.trainers.trainer import Phase, Trainer
from workers.trainers.watchdog import overgrown_bytes, silence

_TICK_S: Final = 0.2
# A tick that took longer than this means that the worker itself stood still; nobody else is to blame.
_FROZEN_S: Final = 5.0
_MAX_START_FAILURES: Final = 3
_RESTART_PAUSE_S: Final = 1.0
_MEMORY_CHECK_S: Final = 5.0


class Supervisor:
    """The trainers of one worker, all handled by the thread that calls `run`.

    Everything others want of it goes through its inbox as a call, so that no two threads touch a trainer.

    Args:
        device_slots: One for each trainer.
        options: Of the worker, the engine decided.
        folder: For logs and models, this worker's own.
        dispatcher: Decides which trainer gets which trial.
        session: Ends `run` when stopped.
        assignments: The trials held.
        uploader: Takes outcomes.
        log: Takes the lines.

    Attributes:
        on_free: Called when trials are wanted.
    """

    def __init__(
        self,
        *,
        device_slots: Sequence[DeviceSlot],
        options: WorkerOptions,
        folder: Path,
        dispatcher: Dispatcher,
        session: ServerSession,
        assignments: Assignments,
        uploader: ModelUploader,
        log: Any,
    ) -> None:
        self.on_free: Callable[[], None] = lambda: None
        self._device_slots = tuple(device_slots)
        self._options = options
        self._engine = options.engine
        self._folder = folder
        self._session = session
        self._assignments = assignments
        self._uploader = uploader
        self._log = log
        # Not a SimpleQueue: interrupted by a signal, its get(timeout=…) can wait for ever (seen with CPython 3.11.7).
        self._inbox: queue.Queue[Callable[[], None]] = queue.Queue()
        self._trainers: list[Trainer | None] = [None] * len(self._device_slots)
        self._restart_s = [0.0] * len(self._device_slots)
        self._dispatcher = dispatcher
        self._n_wanted = 0
        self._throughput = Throughput(self._engine, assignments, self._n_slots, self._n_compiling)
        self._warned_studies: set[str] = set()
        self._n_start_failures = 0
        self._is_announced = False
        self._busy_s = self._memory_checked_s = time.monotonic()

    @property
    def _living(self) -> list[Trainer]:
        return [trainer for trainer in self._trainers if trainer is not None]

    # What other threads may call.

    def n_wanted(self) -> int:
        """Return how many more trials should be claimed now."""
        return self._n_wanted - self._assignments.n_unstarted()

    def progress(self) -> WorkerProgress:
        """Return what is in training and how fast it goes, for people."""
        return self._throughput.progress()

    def _n_slots(self) -> int | None:
        return sum(trainer.n_slots for trainer in self._living) if self._session.hears_slots else None

    def _n_compiling(self) -> int | None:
        return sum(trainer.n_compiling for trainer in self._living) if self._session.hears_stage else None

    def note_fetching(self, *, is_fetching: bool) -> None:
        """Take note that data begin or end to be fetched, and have it reported."""
        self._throughput.is_fetching = is_fetching
        self._assignments.report_soon()

    def start_trials(self, assignments: Sequence[Assignment]) -> None:
        """Take trials whose data is here; those given together can be planned together."""
        self._inbox.put(partial(self._take, tuple(assignments)))

    def drop(self, assignment: Assignment) -> None:
        """Stop a trial that nobody wants any more."""
        self._inbox.put(partial(self._drop, assignment))

    def kill(self) -> None:
        """End all trainer processes at once."""
        for trainer in self._living:
            trainer.kill()

    def close(self) -> None:
        """End all trainer processes, after `run` has returned."""
        self.kill()
        for trainer in self._living:
            trainer.close()

    # The thread of `run`.

    def start(self) -> None:
        """Start all trainers; they are ready some seconds later."""
        for position in range(len(self._device_slots)):
            self._start(position)

    def run(self) -> None:
        """Supervise until the session is stopped or the worker was idle for long enough."""
        ticked_s = time.monotonic()
        while not self._session.stop.is_set():
            with suppress(queue.Empty):
                self._inbox.get(timeout=_TICK_S)()
                continue_until_s = time.monotonic() + _TICK_S
                while time.monotonic() < continue_until_s:
                    self._inbox.get_nowait()()
            now_s = time.monotonic()
            self._forgive_pause(now_s - ticked_s)
            ticked_s = now_s
            self._check_trainers(now_s)

    def _forgive_pause(self, gap_s: float) -> None:
        """Do not count the time in which this process itself was stopped against the trainers."""
        if gap_s > _FROZEN_S:
            for trainer in self._living:
                trainer.forgive_pause(gap_s)

    def _check_trainers(self, now_s: float) -> None:
        for position, trainer in enumerate(self._trainers):
            if trainer is None:
                if now_s >= self._restart_s[position]:
                    self._start(position)
            elif trainer.phase == Phase.STARTING and now_s - trainer.started_s > self._options.start_timeout_s:
                trainer.kill()
            elif (detail := silence(trainer, now_s)) is not None:
                self._log.error(detail, trials=[assignment.title for assignment in trainer.held.values()])
                self._give_up(trainer, Outcome(state="FAILED", cause="stalled", detail=detail))
                trainer.kill()
        self._check_memory(now_s)
        if self._assignments.held() or not any(trainer.capacity for trainer in self._living):
            self._busy_s = now_s
        elif self._options.max_idle_s is not None and now_s - self._busy_s > self._options.max_idle_s:
            self._log.info(f"no trials for {self._options.max_idle_s:g} s: leaving")
            self._session.stop.set()

    def _check_memory(self, now_s: float) -> None:
        """Look now and then at the memory of trainers that are never idle."""
        if now_s - self._memory_checked_s < _MEMORY_CHECK_S:
            return
        self._memory_checked_s = now_s
        for trainer in self._living:
            trainer.share_time()
            if trainer.held:
                self._replace_if_overgrown(trainer, is_idle=False)

    def _replace_if_overgrown(self, trainer: Trainer, *, is_idle: bool) -> None:
        if trainer.phase != Phase.READY:
            return
        memory_bytes = overgrown_bytes(trainer, self._options, is_idle=is_idle)
        if memory_bytes is not None:
            self._log.info("replacing a trainer whose memory has grown", memory_mb=memory_bytes >> 20)
            trainer.leave()

    def _start(self, position: int) -> None:
        log = self._folder / f"trainer-{position}.log"
        cache = self._options.work_dir / "compiled"
        try:
            self._trainers[position] = Trainer(self._device_slots[position], self._engine, cache, log, self._enqueue)
        except OSError as error:
            self._log.error(f"a trainer process can not be started: {(error.strerror or str(error)).lower()}")
            self._restart_s[position] = time.monotonic() + _RESTART_PAUSE_S

    def _enqueue(self, trainer: Trainer, event: Event | None) -> None:
        self._inbox.put(partial(self._on_end, trainer) if event is None else partial(self._on_event, trainer, event))

    def _on_event(self, trainer: Trainer, event: Event) -> None:
        match event:
            case Ready():
                self._on_ready(trainer, event)
            case LogMessage(text=text):
                trainer.progress_s = time.monotonic()
                self._log.info(text, **self._which(trainer))
            case StartFailed(message=message):
                self._session.fail(HpsearchError(message, code="worker.can_not_train"))
            case Epoch():
                self._on_epoch(trainer, event)
            case Slots() | Trained() | Compiling():
                self._on_note(trainer, event)
            case Finished():
                self._on_finished(trainer, event)
            case Dropped(ticket=ticket):
                trainer.remove(ticket)
                self._dispatch()
            case Idle():
                if not trainer.held:
                    self._replace_if_overgrown(trainer, is_idle=True)
                    self._dispatch()

    def _on_note(self, trainer: Trainer, event: Slots | Trained | Compiling) -> None:
        trainer.update(event)
        if isinstance(event, Compiling):
            self._assignments.report_soon()
        self._dispatch()

    def _which(self, trainer: Trainer) -> dict[str, int]:
        return {} if len(self._device_slots) == 1 else {"trainer": self._trainers.index(trainer)}

    def _on_ready(self, trainer: Trainer, ready: Ready) -> None:
        self._n_start_failures = 0
        if not self._is_announced:
            self._is_announced = True
            self._log.info("trainer ready", engine=ready.engine, n_slots=ready.n_slots)
            if trainer.slot.device.kind == "gpu" and ready.n_gpus == 0 and self._engine != "stub":
                self._log.warning(
                    "TensorFlow can not use the GPU of this machine: training on the CPU instead; "
                    "run  pip install 'hpsearch[gpu]'  or look at the driver"
                )
        trainer.ready = ready
        trainer.phase = Phase.READY
        self._dispatch()

    def _on_epoch(self, trainer: Trainer, epoch: Epoch) -> None:
        trainer.progress_s = time.monotonic()
        assignment = self._assignments.get(epoch.ticket)
        if assignment is None:
            return
        self._throughput.epoch()
        assignment.n_epochs += 1
        self._assignments.measure(assignment, epoch.measurement)
        self._dispatcher.send_threshold(trainer, assignment.study.study_id)
        if assignment.n_epochs == 1:
            self._dispatch()

    def _on_finished(self, trainer: Trainer, finished: Finished) -> None:
        trainer.progress_s = time.monotonic()
        trainer.remove(finished.ticket)
        trainer.n_finished += 1
        assignment = self._assignments.get(finished.ticket)
        if assignment is not None:
            self._dispatcher.send_threshold(trainer, assignment.study.study_id)
            self._deliver(assignment, finished)
        elif finished.model is not None:
            finished.model.unlink(missing_ok=True)
        if not trainer.held and trainer.ready is not None and trainer.ready.pack_bytes == 0:
            self._replace_if_overgrown(trainer, is_idle=True)
        self._dispatch()

    def _deliver(self, assignment: Assignment, finished: Finished) -> None:
        assignment.is_trained = True
        outcome = finished.outcome
        if outcome.state != "RELEASED" and outcome.cause != "crashed":
            self._throughput.finished()
        self._log.info(
            f"finished {assignment.title}",
            state=outcome.state,
            value=outcome.value,
            epochs=assignment.n_epochs,
            seconds=round(outcome.device_seconds, 2),
            **({} if outcome.cause is None else {"cause": outcome.cause}),
        )
        self._uploader.deliver(assignment, outcome, finished.model)

    def _take(self, assignments: Sequence[Assignment]) -> None:
        for study in {assignment.study.study_id: assignment.study for assignment in assignments}.values():
            self._warn_of_other_engine(study)
        self._dispatcher.put(assignments)
        self._dispatch()

    def _warn_of_other_engine(self, study: StudyBrief) -> None:
        """Say, once a study, that it asks for an engine that this worker does not have."""
        # Plain Keras is in every trainer, and knows no slots.
        is_had = study.engine in ("auto", self._engine) or (study.engine == "reference" and self._engine != "stub")
        if is_had or self._engine == "stub" or study.study_id in self._warned_studies:
            return
        self._warned_studies.add(study.study_id)
        self._log.warning(
            f"study {study.name} asks for the engine {study.engine}, but this worker trains with {self._engine}, its "
            "trials too"
        )

    def _dispatch(self) -> None:
        """Give waiting trials to trainers with room, and say how many more are wanted."""
        # The claimer looks from another thread: it never sees trials both as handed out and as still wanted.
        self._n_wanted = 0
        self._dispatcher.dispatch(self._living)
        self._n_wanted = self._dispatcher.n_wanted(self._living)
        if self.n_wanted() > 0:
            self.on_free()

    def _drop(self, assignment: Assignment) -> None:
        for trainer in self._living:
            trainer.drop(assignment.ticket)
        self._dispatch()

    def _on_end(self, trainer: Trainer) -> None:
        """Deal with a process that has ended: its trials go back, its slot is filled again."""
        position = self._trainers.index(trainer)
        was = trainer.phase
        ending = trainer.ending()
        trainer.close()
        self._trainers[position] = None
        n_lost = len(trainer.held)
        self._give_up(trainer, Outcome(state="FAILED", cause="crashed", detail=ending[-MAX_DETAIL_CHARACTERS:]))
        self._dispatch()
        if self._session.stop.is_set():
            return
        if was == Phase.LEAVING and n_lost == 0:
            self._start(position)
            return
        self._log.error(f"{ending}: starting another", was=was.name.lower(), n_trials_lost=n_lost)
        if was == Phase.STARTING:
            self._n_start_failures += 1
            if self._n_start_failures >= _MAX_START_FAILURES:
                msg = f"the trainer process can not be started, {_MAX_START_FAILURES} times in a row: {ending}"
                self._session.fail(HpsearchError(msg, code="worker.can_not_train"))
                return
            self._restart_s[position] = time.monotonic() + _RESTART_PAUSE_S
            return
        self._start(position)

    def _give_up(self, trainer: Trainer, outcome: Outcome) -> None:
        """End all trials a trainer holds, each with its share of the trainer's time."""
        trainer.share_time()
        for assignment in trainer.held.values():
            if not assignment.is_trained:
                seconds = max(0.0, assignment.device_s)
                self._assignments.settle(assignment, outcome.model_copy(update={"device_seconds": seconds}))
