"""Trainer: the supervisor's handle of one trainer process, its pipes and its trials."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum, auto
from pathlib import Path
from typing import Final

from hpsearch.interpreter import python_command
from workers.assignments import Assignment
from workers.devices import DeviceSlot
from workers.trainers.frames import read_frame, write_frame
from workers.trainers.messages import EVENTS, Command, Compiling, Drop, Event, Leave, Ready, Slots, Trained

# -P: the folder the worker was started in is not searched for modules.
_PROGRAM: Final = (
    "from hpsearch import _layout; _layout.put_on_path(); from workers.training.process.child import main; main()"
)
_TAIL_BYTES: Final = 4_096
_REAP_S: Final = 1.0


class Phase(Enum):
    """Where a trainer process stands."""

    STARTING = auto()
    READY = auto()
    LEAVING = auto()
    DEAD = auto()


class Trainer:
    """One trainer process.

    To be created in a thread that lives as long as the process shall: Linux ties a child to the thread that made it.

    Args:
        slot: Device and environment.
        engine: `native`, `fused`, `reference` or `stub`.
        cache: Folder in which what is compiled outlives the process.
        log: File its output goes to, begun anew.
        on_event: Called for every event, and with None at the end of the process, from a thread of its own.

    Attributes:
        held: The trials it was given and that have not left it, by ticket.
        writing: Those of them that are trained and wait for their model files.
        is_solo: Whether it holds a trial that is to be trained alone.
        ready: What it said of itself when it was ready; None before.
        thresholds: By study: what a trial must beat for its model to be kept, as the process was last told.
        base_memory_bytes: Memory after its first trials; None before.
        n_finished: Trials it has brought to an end.
        n_compiling: Programs its engine is compiling.
        progress_s: Monotonic time of the last sign of progress of any of its trials.
        shared_s: Monotonic time up to which its time was shared among them.
    """

    def __init__(
        self, slot: DeviceSlot, engine: str, cache: Path, log: Path, on_event: Callable[[Trainer, Event | None], None]
    ) -> None:
        self.slot = slot
        self.log = log
        self.phase = Phase.STARTING
        self.held: dict[int, Assignment] = {}
        self.writing: set[int] = set()
        self.is_solo = False
        self.ready: Ready | None = None
        self.thresholds: dict[str, float | None] = {}
        self.base_memory_bytes: int | None = None
        self.n_finished = 0
        self.n_compiling = 0
        self.started_s = self.progress_s = self.shared_s = time.monotonic()
        self._on_event = on_event
        self._writing = threading.Lock()
        commands_out, commands_in = os.pipe()
        events_out, events_in = os.pipe()
        arguments = (str(os.getpid()), str(commands_out), str(events_in), engine, str(cache))
        # Below 3 XLA prints two long lines for every compiled program it finds on disk.
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3" if engine == "fused" else "2"}
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"} | quiet | dict(slot.environment)
        environment.pop("HPSEARCH_TOKEN", None)
        try:
            with log.open("wb") as output:
                self.process = subprocess.Popen(
                    python_command("-c", _PROGRAM, *arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    pass_fds=(commands_out, events_in),
                )
        finally:
            os.close(commands_out)
            os.close(events_in)
        self._commands = os.fdopen(commands_in, "wb", buffering=0)
        self._events = os.fdopen(events_out, "rb", buffering=0)
        self._reader = threading.Thread(target=self._read, name=f"trainer-{self.process.pid}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (payload := read_frame(self._events)) is not None:
                self._on_event(self, EVENTS.validate_json(payload))
        # The pipe also ends when the process closed it, or sent rubbish: it must not live on unheard.
        try:
            self.process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._on_event(self, None)

    def send(self, command: Command) -> None:
        """Send a command; a process that is gone does not hear it, and its end is told elsewhere."""
        with self._writing, contextlib.suppress(OSError, ValueError):
            write_frame(self._commands, command.model_dump_json().encode())

    @property
    def capacity(self) -> int:
        """How many trials it can usefully hold; 0 when it takes none at all."""
        return self.ready.capacity if self.ready is not None and self.phase == Phase.READY else 0

    @property
    def n_slots(self) -> int:
        """How many trials can be with it and not wait for a slot: those in training and those being written."""
        return 0 if self.ready is None or not self.capacity else self.ready.n_slots + len(self.writing)

    @property
    def room(self) -> int:
        """How many trials it could take now: those it has no slot for wait in it, as many as its engine says."""
        return 0 if self.is_solo else max(0, self.capacity - len(self.held) + len(self.writing))

    def add(self, assignments: Iterable[Assignment]) -> None:
        """Note trials that are being handed to it."""
        self.share_time()
        for assignment in assignments:
            self.held[assignment.ticket] = assignment
            self.is_solo = self.is_solo or assignment.trial.alone
            assignment.is_started = True
        self.progress_s = time.monotonic()

    def update(self, event: Slots | Trained | Compiling) -> None:
        """Take note of how many trials its engine takes now, that one has left its slot, or of what is compiled."""
        if isinstance(event, Compiling):
            self.n_compiling = event.n_programs
        elif isinstance(event, Trained):
            self.writing.add(event.ticket)
        elif self.ready is not None:
            self.ready = self.ready.model_copy(update={"n_slots": event.n_slots, "capacity": event.capacity})

    def remove(self, ticket: int) -> Assignment | None:
        """Note that a trial has left it, and return it if it was there."""
        self.share_time()
        assignment = self.held.pop(ticket, None)
        self.writing.discard(ticket)
        self.is_solo = self.is_solo and bool(self.held)
        return assignment

    def share_time(self) -> None:
        """Share the time since the last call among the trials held, for those whose share nobody else will know."""
        now_s = time.monotonic()
        if self.held:
            share_s = (now_s - self.shared_s) / len(self.held)
            for assignment in self.held.values():
                assignment.device_s += share_s
        self.shared_s = now_s

    def forgive_pause(self, gap_s: float) -> None:
        """Do not count time in which the supervisor itself stood still."""
        self.started_s += gap_s
        self.progress_s += gap_s
        self.shared_s += gap_s

    def drop(self, ticket: int) -> None:
        """Let a trial be dropped at its next epoch, if it is here."""
        if ticket in self.held:
            self.send(Drop(ticket=ticket))

    def leave(self) -> None:
        """Let the process end by itself once it has trained what it was given."""
        self.phase = Phase.LEAVING
        self.send(Leave())

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def close(self) -> None:
        """Release the pipes of a process that has ended, or is about to."""
        self.phase = Phase.DEAD
        self._reader.join(_REAP_S)
        with self._writing, contextlib.suppress(OSError):
            self._commands.close()
        self._events.close()

    def memory_bytes(self) -> int:
        """Return the resident memory of the process; 0 when it can not be read."""
        import psutil  # noqa: PLC0415 - only workers with the extra have it

        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def ending(self) -> str:
        """Return how the process ended, and the last lines it wrote."""
        code = self.process.poll()
        if code is not None and code < 0:
            how = f"the trainer process was ended by {_signal_name(-code)}"
            if -code == signal.SIGKILL:
                how += " (out of memory on this machine, or killed by hand)"
        else:
            how = f"the trainer process ended with exit code {code}"
        tail = self._tail()
        return f"{how}; its last lines were:\n{tail}" if tail else how

    def _tail(self) -> str:
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                return file.read().decode("utf-8", "replace").replace("\x00", "").strip()
        except OSError:
            return ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
