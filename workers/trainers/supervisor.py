"""Supervisor: keeps the trainer processes alive and supplied, and notices when one dies, hangs or grows."""

from __future__ import annotations

import itertools
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
from workers.assignments import Assignment, Ledger
from workers.devices import Seat
from workers.options import WorkerOptions
from workers.server.model_thresholds import Thresholds
from workers.server.model_uploader import Courier
from workers.server.server_session import Link
from workers.throughput import Pulse
from workers.trainers.dispatcher import Prepared, Supply
from workers.trainers.messages import (
    Broken,
    Compiling,
    Epoch,
    Event,
    Finished,
    Gone,
    Idle,
    Ready,
    Said,
    Slots,
    Threshold,
    Trained,
)
from workers.trainers.trainer import Phase, Trainer
from workers.trainers.watchdog import overgrown_bytes, silence

_TICK_S: Final = 0.2
# A tick that took longer than this means that the worker itself stood still; nobody else is to blame.
_FROZEN_S: Final = 5.0
_MAX_START_FAILURES: Final = 3
_RESTART_PAUSE_S: Final = 1.0
_WEIGH_EVERY_S: Final = 5.0


class Supervisor:
    """The trainers of one worker, all handled by the thread that calls `run`.

    Everything others want of it goes through its inbox as a call, so that no two threads touch a trainer.

    Args:
        seats: One for each trainer.
        options: Of the worker, the engine decided.
        folder: For logs and models, this worker's own.
        link: Ends `run` when stopped.
        ledger: The trials held.
        thresholds: Which models are wanted.
        courier: Takes outcomes.
        log: Takes the lines.

    Attributes:
        on_free: Called when trials are wanted.
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
        self._engine = options.engine
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
        numbers = itertools.count()
        self._supply = Supply(thresholds, lambda: self._folder / f"{next(numbers)}.keras")
        self._wish = 0
        self._pulse = Pulse(self._engine, ledger, self._n_slots, self._n_compiling)
        self._overruled: set[str] = set()
        self._n_start_failures = 0
        self._has_spoken = False
        self._busy_s = self._weighed_s = time.monotonic()

    @property
    def _living(self) -> list[Trainer]:
        return [trainer for trainer in self._trainers if trainer is not None]

    # What other threads may call.

    def n_wanted(self) -> int:
        """Return how many more trials should be claimed now."""
        return self._wish - self._ledger.n_unstarted()

    def progress(self) -> WorkerProgress:
        """Return what is in training and how fast it goes, for people."""
        return self._pulse.progress()

    def _n_slots(self) -> int | None:
        return sum(trainer.n_slots for trainer in self._living) if self._link.hears_slots else None

    def _n_compiling(self) -> int | None:
        return sum(trainer.n_compiling for trainer in self._living) if self._link.hears_stage else None

    def note_fetching(self, *, is_fetching: bool) -> None:
        """Take note that data begin or end to be fetched, and have it reported."""
        self._pulse.is_fetching = is_fetching
        self._ledger.speak()

    def start_trials(self, prepared: Sequence[Prepared]) -> None:
        """Take trials whose data is here; those given together can be planned together."""
        self._inbox.put(partial(self._take, tuple(prepared)))

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
            for trainer in self._living:
                trainer.excuse(gap_s)

    def _look(self, now_s: float) -> None:
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
        self._weigh(now_s)
        if self._ledger.held() or not any(trainer.appetite for trainer in self._living):
            self._busy_s = now_s
        elif self._options.max_idle_s is not None and now_s - self._busy_s > self._options.max_idle_s:
            self._log.info(f"no trials for {self._options.max_idle_s:g} s: leaving")
            self._link.stop.set()

    def _weigh(self, now_s: float) -> None:
        """Look now and then at the memory of trainers that are never idle."""
        if now_s - self._weighed_s < _WEIGH_EVERY_S:
            return
        self._weighed_s = now_s
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
            self._trainers[position] = Trainer(self._seats[position], self._engine, cache, log, self._hear)
        except OSError as error:
            self._log.error(f"a trainer process can not be started: {(error.strerror or str(error)).lower()}")
            self._restart_s[position] = time.monotonic() + _RESTART_PAUSE_S

    def _hear(self, trainer: Trainer, event: Event | None) -> None:
        self._inbox.put(partial(self._on_end, trainer) if event is None else partial(self._on_event, trainer, event))

    def _on_event(self, trainer: Trainer, event: Event) -> None:
        match event:
            case Ready():
                self._on_ready(trainer, event)
            case Said(text=text):
                trainer.progress_s = time.monotonic()
                self._log.info(text, **self._which(trainer))
            case Broken(message=message):
                self._link.fail(HpsearchError(message, code="worker.can_not_train"))
            case Epoch():
                self._on_epoch(trainer, event)
            case Slots() | Trained() | Compiling():
                self._on_note(trainer, event)
            case Finished():
                self._on_finished(trainer, event)
            case Gone(ticket=ticket):
                trainer.let_go(ticket)
                self._hand_out()
            case Idle():
                if not trainer.held:
                    self._replace_if_overgrown(trainer, is_idle=True)
                    self._hand_out()

    def _on_note(self, trainer: Trainer, event: Slots | Trained | Compiling) -> None:
        trainer.take_note(event)
        if isinstance(event, Compiling):
            self._ledger.speak()
        self._hand_out()

    def _which(self, trainer: Trainer) -> dict[str, int]:
        return {} if len(self._seats) == 1 else {"trainer": self._trainers.index(trainer)}

    def _on_ready(self, trainer: Trainer, ready: Ready) -> None:
        self._n_start_failures = 0
        if not self._has_spoken:
            self._has_spoken = True
            self._log.info("trainer ready", engine=ready.engine, n_slots=ready.n_slots)
            if trainer.seat.device.kind == "gpu" and ready.n_gpus == 0 and self._engine != "stub":
                self._log.warning(
                    "TensorFlow can not use the GPU of this machine: training on the CPU instead; "
                    "run  pip install 'hpsearch[gpu]'  or look at the driver"
                )
        trainer.ready = ready
        trainer.phase = Phase.READY
        self._hand_out()

    def _on_epoch(self, trainer: Trainer, epoch: Epoch) -> None:
        trainer.progress_s = time.monotonic()
        assignment = self._ledger.get(epoch.ticket)
        if assignment is None:
            return
        self._pulse.epoch()
        assignment.n_epochs += 1
        self._ledger.measure(assignment, epoch.measurement)
        self._tell_threshold(trainer, assignment.study.study_id)
        if assignment.n_epochs == 1:
            self._hand_out()

    def _tell_threshold(self, trainer: Trainer, study_id: str) -> None:
        threshold = self._thresholds.of(study_id)
        if threshold != trainer.thresholds.get(study_id):
            trainer.thresholds[study_id] = threshold
            trainer.say(Threshold(study_id=study_id, threshold=threshold))

    def _on_finished(self, trainer: Trainer, finished: Finished) -> None:
        trainer.progress_s = time.monotonic()
        trainer.let_go(finished.ticket)
        trainer.n_finished += 1
        assignment = self._ledger.get(finished.ticket)
        if assignment is not None:
            self._tell_threshold(trainer, assignment.study.study_id)
            self._deliver(assignment, finished)
        elif finished.model is not None:
            finished.model.unlink(missing_ok=True)
        if not trainer.held and trainer.ready is not None and trainer.ready.pack_bytes == 0:
            self._replace_if_overgrown(trainer, is_idle=True)
        self._hand_out()

    def _deliver(self, assignment: Assignment, finished: Finished) -> None:
        assignment.is_trained = True
        outcome = finished.outcome
        if outcome.state != "RELEASED" and outcome.cause != "crashed":
            self._pulse.finished()
        self._log.info(
            f"finished {assignment.title}",
            state=outcome.state,
            value=outcome.value,
            epochs=assignment.n_epochs,
            seconds=round(outcome.device_seconds, 2),
            **({} if outcome.cause is None else {"cause": outcome.cause}),
        )
        self._courier.deliver(assignment, outcome, finished.model)

    def _take(self, prepared: Sequence[Prepared]) -> None:
        for study in {one.assignment.study.study_id: one.assignment.study for one in prepared}.values():
            self._warn_of_other_engine(study)
        self._supply.put(prepared)
        self._hand_out()

    def _warn_of_other_engine(self, study: StudyBrief) -> None:
        """Say, once a study, that it asks for an engine that this worker does not have."""
        # Plain Keras is in every trainer, and knows no slots.
        is_had = study.engine in ("auto", self._engine) or (study.engine == "reference" and self._engine != "stub")
        if is_had or self._engine == "stub" or study.study_id in self._overruled:
            return
        self._overruled.add(study.study_id)
        self._log.warning(
            f"study {study.name} asks for the engine {study.engine}, but this worker trains with {self._engine}, its "
            "trials too"
        )

    def _hand_out(self) -> None:
        """Give waiting trials to trainers with room, and say how many more are wanted."""
        # The claimer looks from another thread: it never sees trials both as handed out and as still wanted.
        self._wish = 0
        self._supply.hand_out(self._living)
        self._wish = self._supply.wish(self._living)
        if self.n_wanted() > 0:
            self.on_free()

    def _drop(self, assignment: Assignment) -> None:
        for trainer in self._living:
            trainer.drop(assignment.ticket)
        self._hand_out()

    def _on_end(self, trainer: Trainer) -> None:
        """Deal with a process that has ended: its trials go back, its seat is filled again."""
        position = self._trainers.index(trainer)
        was = trainer.phase
        ending = trainer.ending()
        trainer.close()
        self._trainers[position] = None
        n_lost = len(trainer.held)
        self._give_up(trainer, Outcome(state="FAILED", cause="crashed", detail=ending[-MAX_DETAIL_CHARACTERS:]))
        self._hand_out()
        if self._link.stop.is_set():
            return
        if was == Phase.LEAVING and n_lost == 0:
            self._start(position)
            return
        self._log.error(f"{ending}: starting another", was=was.name.lower(), n_trials_lost=n_lost)
        if was == Phase.STARTING:
            self._n_start_failures += 1
            if self._n_start_failures >= _MAX_START_FAILURES:
                msg = f"the trainer process can not be started, {_MAX_START_FAILURES} times in a row: {ending}"
                self._link.fail(HpsearchError(msg, code="worker.can_not_train"))
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
                self._ledger.settle(assignment, outcome.model_copy(update={"device_seconds": seconds}))
