"""Process supervisor: a command's local server and workers, restarted when they die, stopped with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from hpsearch import _layout
from hpsearch.local import server as local
from hpsearch.local.children import Child, kill_group, start, stop
from hpsearch.local.environment import BESIDE_VARIABLE, CPUS_VARIABLE, ENGINE_VARIABLE
from hpsearch.settings import Settings

# A worker gives its trials back within seconds; one that compiles a program may take a little longer.
WORKER_GRACE_S: Final = 15.0
SERVER_GRACE_S: Final = 10.0
# Deaths in a row, each soon after the start, after which a worker is not started again.
MAX_QUICK_DEATHS: Final = 3
QUICK_S: Final = 60.0
MAX_SERVER_RESTARTS: Final = 3


def default_trainers(engine: str | None) -> int | None:
    """Return how many trainer processes this machine carries; None leaves it to the worker, which takes one per GPU.

    Args:
        engine: Of the worker; None for that of the environment.
    """
    devices = _layout.load("workers.devices")
    if devices.find_gpus():
        return None
    engine = engine or os.environ.get(ENGINE_VARIABLE) or "auto"
    return int(devices.default_trainers(engine, (), devices.cpu_cores()))


def _share(number: int, n_workers: int) -> str | None:
    """Return the CPUs of one of several workers, so that all together run about one thread per core."""
    if n_workers <= 1 or not hasattr(os, "sched_getaffinity"):
        return None
    cpus = sorted(os.sched_getaffinity(0))
    if n_workers >= len(cpus):
        return str(cpus[(number - 1) % len(cpus)])
    return ",".join(str(cpu) for cpu in cpus[number - 1 :: n_workers])


@dataclass
class _Slot:
    child: Child
    quick_deaths: int = 0
    given_up: bool = False


@dataclass
class LocalProcesses:
    """The server and worker processes that one command has started.

    Attributes:
        settings: Of the data directory: where logs lie, and of the local server if there is one.
        notify: Takes one line for the user.
        url: Of the server, once known.
        token: The workers' bearer token.
        may_restart_server: Whether this command may start the server again when it is gone.
        engine: Of the workers; None for that of the environment.
        is_idle: Whether no worker holds a trial or could get one: then server and workers can stop at once.
    """

    settings: Settings
    notify: Callable[[str], None]
    url: str = ""
    token: str = ""
    may_restart_server: bool = False
    engine: str | None = None
    is_idle: bool = False
    _server: Child | None = None
    _server_restarts: int = 0
    _slots: list[_Slot] = field(default_factory=list)
    _n_started: int = 0
    _trainers: int | None = None
    _is_ending: bool = False

    def open_server(self, meanwhile: Callable[[], None] | None = None) -> str:
        """Find or start the local server and return its address.

        Args:
            meanwhile: Called while a server is starting, not when one was found; workers may be started there.
        """
        self.url, self._server = local.ensure(self.settings, meanwhile=meanwhile)
        self.token = local.token_of(self.settings)
        self.may_restart_server = True
        return self.url

    def start_workers(self, n_workers: int | None) -> int:
        """Start workers for the server and return how many trainers they have, as far as that is known (0: not).

        Before the server answers, they get ready and wait for it.

        Args:
            n_workers: Worker processes that share the cores evenly; None for one with as many trainers as the machine
                carries.
        """
        self._n_started = 1 if n_workers is None else n_workers
        self._trainers = default_trainers(self.engine) if n_workers is None else None
        for number in range(1, self._n_started + 1):
            self._slots.append(_Slot(self._start_worker(number)))
        return self._trainers or self._n_started

    @property
    def has_workers(self) -> bool:
        """Whether workers have been started."""
        return bool(self._slots)

    @property
    def n_workers(self) -> int:
        """Workers that live."""
        return sum(slot.child.is_alive for slot in self._slots)

    def supervise(self) -> None:
        """Restart what died, notify the user, give up on what keeps dying.

        To be called about every second, from the main thread.

        Raises:
            StartError: The server, or every worker, keeps dying; the message holds the end of a log.
        """
        self.supervise_server()
        for number, slot in enumerate(self._slots, start=1):
            if not slot.child.is_alive and not slot.given_up:
                self._replace(number, slot)
        if self._slots and all(slot.given_up for slot in self._slots):
            words = self._slots[-1].child.exit_report()
            msg = f"No local worker stays alive; what is finished is kept. {words}"
            raise local.StartError(msg)

    def terminate_workers(self) -> None:
        """Send SIGTERM to the workers without waiting: what is left to do needs none of them."""
        self._is_ending = True
        for slot in self._slots:
            if slot.child.is_alive:
                slot.child.process.terminate()

    def close(self, *, patient: bool = True) -> None:
        """End what was started: workers first, so that they can give their trials back to the server.

        Args:
            patient: False kills at once.
        """
        workers, server = [slot.child for slot in self._slots], self._server
        if self.is_idle and patient and server is not None:
            stop([*workers, server], WORKER_GRACE_S)
            self._server = None
        else:
            stop(workers, WORKER_GRACE_S if patient else 0)
        self._slots.clear()
        if self._server is not None:
            stop([self._server], SERVER_GRACE_S if patient else 0)
            self._server = None

    def __enter__(self) -> Self:
        """Return itself, to be closed at the end of the block."""
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
        folder = local.make_data_dir(self.settings)
        trainers = [] if self._trainers is None else ["--trainers", str(self._trainers)]
        engine = [] if self.engine is None else ["--engine", self.engine]
        server = ["--server", self.url] if self.url else []
        return start(
            f"worker {number}",
            [
                "worker",
                *server,
                "--name",
                f"local-{number}",
                "--work-dir",
                str(folder / "cache"),
                *trainers,
                *engine,
            ],
            log=folder / "logs" / f"worker-{number}.log",
            environment={
                "HPSEARCH_TOKEN": self.token or None,
                BESIDE_VARIABLE: None if self.url else "1",
                "HPSEARCH_DATA_DIR": str(self.settings.data_dir),
                CPUS_VARIABLE: _share(number, self._n_started),
            },
        )

    def _replace(self, number: int, slot: _Slot) -> None:
        words = slot.child.exit_report()
        slot.quick_deaths = slot.quick_deaths + 1 if slot.child.age_s < QUICK_S else 1
        kill_group(slot.child)
        if slot.quick_deaths >= MAX_QUICK_DEATHS:
            slot.given_up = True
            self.notify(f"{words}\nIt has died {slot.quick_deaths} times in a row and is not started again.")
            return
        self.notify(f"{words}\nIt is started again; its trials go back to the queue.")
        slot.child = self._start_worker(number)

    def supervise_server(self) -> None:
        """Restart the local server when it has ended, also where another command had started it.

        Raises:
            StartError: It keeps dying; the message holds the end of its log.
        """
        if not self.may_restart_server:
            return
        if self._server is not None and self._server.is_alive:
            return
        if self._server is None:
            if local.announced(self.settings) is not None:
                return  # another command's, still alive
            words = "The local server, which another command had started, has ended."
        else:
            words = self._server.exit_report()
            kill_group(self._server)
        self._server_restarts += 1
        if self._server_restarts > MAX_SERVER_RESTARTS:
            self._server = None
            raise local.StartError(words)
        self.notify(f"{words}\nIt is started again; nothing stored is lost.")
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
        if self.url != before and not self._is_ending:
            stop([slot.child for slot in self._slots], WORKER_GRACE_S)
            for number, slot in enumerate(self._slots, start=1):
                slot.child = self._start_worker(number)
