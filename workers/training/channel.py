"""Channel: a trainer process's side of the pipes to its supervisor."""

from __future__ import annotations

import os
import queue
import threading
from io import RawIOBase

from workers.frames import read_frame, write_frame
from workers.messages import COMMANDS, Drop, Event, Leave, Threshold, Train


class Channel:
    """The two pipes to the supervisor, and what it said about the attempt in training.

    A thread reads commands all the time: a drop must be seen in mid-training, and the end of the pipe means that the
    supervisor is dead, whereupon this process ends at once.
    """

    def __init__(self, commands: RawIOBase, events: RawIOBase) -> None:
        self._commands = commands
        self._events = events
        self._writing = threading.Lock()
        self._tasks: queue.SimpleQueue[Train | Leave] = queue.SimpleQueue()
        self._dropped: set[int] = set()
        self._thresholds: dict[int, float | None] = {}

    def listen(self) -> None:
        """Begin to read commands."""
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def _read(self) -> None:
        while True:
            payload = read_frame(self._commands)
            if payload is None:
                os._exit(0)
            match COMMANDS.validate_json(payload):
                case Drop(ticket=ticket):
                    self._dropped.add(ticket)
                case Threshold(ticket=ticket, threshold=threshold):
                    self._thresholds[ticket] = threshold
                case Train() as train:
                    self._thresholds[train.ticket] = train.threshold
                    self._tasks.put(train)
                case Leave() as leave:
                    self._tasks.put(leave)

    def next(self) -> Train | Leave:
        """Wait for the next trial, or for the word to leave."""
        return self._tasks.get()

    def say(self, event: Event) -> None:
        """Send an event; without a supervisor this process has no purpose and ends."""
        with self._writing:
            try:
                write_frame(self._events, event.model_dump_json().encode())
            except OSError:
                os._exit(0)

    def is_dropped(self, ticket: int) -> bool:
        """Return whether the attempt is no longer wanted."""
        return ticket in self._dropped

    def threshold(self, ticket: int) -> float | None:
        """Return what the attempt must beat for its model to be kept."""
        return self._thresholds.get(ticket)

    def forget(self, ticket: int) -> None:
        """Let go of what is known of an attempt that has ended."""
        self._dropped.discard(ticket)
        self._thresholds.pop(ticket, None)
