"""Channel: a trainer process's side of the pipes to its supervisor."""

from __future__ import annotations

import os
import threading
from collections import deque
from io import RawIOBase

from workers.server.model_thresholds import ModelThresholds
from workers.trainers.frames import read_frame, write_frame
from workers.trainers.messages import COMMANDS, Command, Drop, Event, Leave, Slots, Threshold, Train
from workers.training.engine.task import TrialTask


class Channel:
    """The two pipes to the supervisor, the trials it sent that nobody trains yet, and what was said of the others.

    A thread reads commands all the time: a drop must be seen in mid-training, and the end of the pipe means that the
    supervisor is dead, whereupon this process ends at once.

    Attributes:
        thresholds: Which models are wanted.
    """

    def __init__(self, commands: RawIOBase, events: RawIOBase) -> None:
        self._commands = commands
        self._events = events
        self._writing = threading.Lock()
        self._arrived = threading.Condition()
        self._waiting: deque[tuple[int, TrialTask]] = deque()
        self._is_leaving = False
        self._dropped: set[int] = set()
        self._sent_slots: tuple[int, int] | None = None
        self.thresholds = ModelThresholds()

    def listen(self) -> None:
        """Begin to read commands."""
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def _read(self) -> None:
        while True:
            payload = read_frame(self._commands)
            if payload is None:
                os._exit(0)
            with self._arrived:
                self._apply(COMMANDS.validate_json(payload))
                self._arrived.notify_all()

    def _apply(self, command: Command) -> None:
        match command:
            case Drop(ticket=ticket):
                self._dropped.add(ticket)
            case Threshold(study_id=study_id, threshold=threshold):
                self.thresholds.set(study_id, threshold)
            case Train():
                self.thresholds.set(command.study.study_id, command.threshold)
                self._waiting += _tasks(command)
            case Leave():
                self._is_leaving = True

    def wait(self) -> bool:
        """Wait for trials; return False once all have been taken and this process is to leave."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting or self._is_leaving)
            return bool(self._waiting)

    def wait_for_trials(self, timeout_s: float) -> None:
        """Wait until trials have arrived that nobody has taken, or the time is up."""
        with self._arrived:
            self._arrived.wait_for(lambda: self._waiting, timeout_s)

    def take(self, n: int) -> list[tuple[int, TrialTask]]:
        """Return up to `n` trials that have arrived, perhaps dropped meanwhile, with their tickets; never waits."""
        with self._arrived:
            return [self._waiting.popleft() for _ in range(min(n, len(self._waiting)))]

    def send(self, event: Event) -> None:
        """Send an event; without a supervisor this process has no purpose and ends."""
        with self._writing:
            try:
                write_frame(self._events, event.model_dump_json().encode())
            except OSError:
                os._exit(0)

    def send_slots(self, n_slots: int, capacity: int) -> None:
        """Tell how many trials the engine takes, if that has changed."""
        before, self._sent_slots = self._sent_slots, (n_slots, capacity)
        # At first it is as `Ready` has told.
        if before not in (None, self._sent_slots):
            self.send(Slots(n_slots=n_slots, capacity=capacity))

    def is_dropped(self, ticket: int) -> bool:
        """Return whether the attempt is no longer wanted."""
        return ticket in self._dropped

    def forget(self, ticket: int) -> None:
        """Let go of what is known of an attempt that has ended."""
        self._dropped.discard(ticket)


def _tasks(train: Train) -> list[tuple[int, TrialTask]]:
    return [
        (
            ticket,
            TrialTask(
                trial=trial,
                study=train.study,
                content=train.content,
                profile=train.profile,
                model_path=train.model_folder / f"{ticket}.keras",
            ),
        )
        for ticket, trial in train.trials.items()
    ]
