"""The local server and workers of one command: started where missing, mended when they die, gone at its end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from hpsearch.cli import local
from hpsearch.cli.children import Child, bury, start, stop
from hpsearch.settings import Settings

# A worker takes about this much with TensorFlow loaded and a small data set (measured: 0.6 to 0.7 GB).
WORKER_BYTES: Final = 750_000_000
MAX_DEFAULT_WORKERS: Final = 4
# What the server, the terminal and the rest of the machine keep.
_RESERVED_BYTES: Final = 500_000_000
# A worker gives its trials back within seconds; one that compiles a program may take a little longer.
WORKER_GRACE_S: Final = 15.0
SERVER_GRACE_S: Final = 10.0
# Deaths in a row, each soon after the start, after which a worker is not started again.
MAX_QUICK_DEATHS: Final = 3
QUICK_S: Final = 60.0
MAX_SERVER_RESTARTS: Final = 3


def default_workers() -> int:
    """Return how many local workers this machine carries: one per core up to four, as far as memory goes, at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_workers = min(cores, MAX_DEFAULT_WORKERS)
    free = _available_bytes()
    if free is not None:
        n_workers = min(n_workers, int((free - _RESERVED_BYTES) // WORKER_BYTES))
    return max(1, n_workers)


def _available_bytes() -> int | None:
    """Return the memory new processes may take: of the machine, or of the container where that is less."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or "max"
        return free
    return min(free, max(0, limit - used))


@dataclass
class _Slot:
    child: Child
    quick_deaths: int = 0
    given_up: bool = False


@dataclass
class Crew:
    """Everything one command has started.

    Attributes:
        settings: Of the data directory: where logs lie, and of the local server if there is one.
        tell: Takes one line for the user.
        url: Of the server, once known.
        token: The workers' bearer token.
        own_server: Whether this command may start the server again when it is gone.
    """

    settings: Settings
    tell: Callable[[str], None]
    url: str = ""
    token: str = ""
    own_server: bool = False
    _server: Child | None = None
    _server_restarts: int = 0
    _slots: list[_Slot] = field(default_factory=list)

    def open_local(self) -> str:
        """Find or start the local server and return its address."""
        self.url, self._server = local.ensure(self.settings)
        self.token = local.token_of(self.settings)
        self.own_server = True
        return self.url

    def hire(self, n_workers: int) -> None:
        """Start that many workers for the server."""
        for _ in range(n_workers):
            number = len(self._slots) + 1
            self._slots.append(_Slot(self._start_worker(number)))

    @property
    def n_workers(self) -> int:
        """Workers that live."""
        return sum(slot.child.is_alive for slot in self._slots)

    def tend(self) -> None:
        """Look after all processes: start again what died, tell the user, give up on what keeps dying.

        To be called about every second, from the main thread.

        Raises:
            StartError: The server, or every worker, keeps dying; the message holds the end of a log.
        """
        self._tend_server()
        for number, slot in enumerate(self._slots, start=1):
            if not slot.child.is_alive and not slot.given_up:
                self._replace(number, slot)
        if self._slots and all(slot.given_up for slot in self._slots):
            words = self._slots[-1].child.last_words()
            msg = f"No local worker stays alive; what is finished is kept. {words}"
            raise local.StartError(msg)

    def close(self, *, patient: bool = True) -> None:
        """End what was started: workers first, so that they can give their trials back to the server.

        Args:
            patient: False kills at once.
        """
        stop([slot.child for slot in self._slots], WORKER_GRACE_S if patient else 0)
        self._slots.clear()
        if self._server is not None:
            stop([self._server], SERVER_GRACE_S if patient else 0)
            self._server = None

    def __enter__(self) -> Self:
        """Return this crew, to be closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End what was started; a second interrupt while that goes on kills at once."""
        try:
            self.close()
        except KeyboardInterrupt:
            self.close(patient=False)
            raise

    def _start_worker(self, number: int) -> Child:
        return start(
            f"worker {number}",
            ["worker", "--server", self.url, "--name", f"local-{number}"],
            log=local.make_data_dir(self.settings) / "logs" / f"worker-{number}.log",
            environment={"HPSEARCH_TOKEN": self.token, "HPSEARCH_DATA_DIR": str(self.settings.data_dir)},
        )

    def _replace(self, number: int, slot: _Slot) -> None:
        words = slot.child.last_words()
        slot.quick_deaths = slot.quick_deaths + 1 if slot.child.age_s < QUICK_S else 1
        bury(slot.child)
        if slot.quick_deaths >= MAX_QUICK_DEATHS:
            slot.given_up = True
            self.tell(f"{words}\nIt has died {slot.quick_deaths} times in a row and is not started again.")
            return
        self.tell(f"{words}\nIt is started again; its trials go back to the queue.")
        slot.child = self._start_worker(number)

    def _tend_server(self) -> None:
        if not self.own_server:
            return
        if self._server is not None and self._server.is_alive:
            return
        if self._server is None:
            if local.announced(self.settings) is not None:
                return  # somebody else's, still there
            words = "The local server, which another command had started, has ended."
        else:
            words = self._server.last_words()
            bury(self._server)
        self._server_restarts += 1
        if self._server_restarts > MAX_SERVER_RESTARTS:
            self._server = None
            raise local.StartError(words)
        self.tell(f"{words}\nIt is started again; nothing stored is lost.")
        self._restart_server()

    def _restart_server(self) -> None:
        """Start the server again at its old address, where the workers look for it; else move the workers."""
        before = self.url
        port = urlsplit(before).port or 0
        try:
            self.url, self._server = local.ensure(self.settings, port=port)
        except local.StartError:  # most likely the port was taken meanwhile
            self._server = None
            time.sleep(1)
            self.url, self._server = local.ensure(self.settings)
        self.token = local.token_of(self.settings)
        if self.url != before:
            stop([slot.child for slot in self._slots], WORKER_GRACE_S)
            for number, slot in enumerate(self._slots, start=1):
                slot.child = self._start_worker(number)
