"""start and stop: a local server and workers that live as long as this program."""

from __future__ import annotations

import atexit
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hpsearch.client.checked import checked_call
from hpsearch.client.client import Client
from hpsearch.local.local_processes import LocalProcesses
from hpsearch.local.supervision import Supervision
from hpsearch.settings import Settings


@dataclass
class _Started:
    supervision: Supervision
    # Those handed out; they are of no use when the server is gone.
    clients: list[Client] = field(default_factory=list)


_STARTED: Final[dict[Path, _Started]] = {}
_LOCK: Final = threading.Lock()


@checked_call
def start(*, workers: int | None = None, engine: str | None = None, data_dir: str | Path | None = None) -> Client:
    """Return a client of the local server, which is started if none runs, with workers beside it.

    They end with this program, `kill -9` included, or at `stop()`; what is stored stays. Called again, it finds what it
    has started before, and adds workers only if there are none yet.

    Args:
        workers: Worker processes that share the cores; None for one that uses all cores and GPUs, 0 for none.
        engine: `auto`, `native`, `fused` or `reference`; None for that of the environment.
        data_dir: Where the server keeps its data; None for the user's own data directory.

    Raises:
        HpsearchError: They can not be started; the message says why.
    """
    settings = Settings.load(data_dir=data_dir)
    with _LOCK:
        if settings.data_dir not in _STARTED:
            processes = LocalProcesses(settings, notify=notify, engine=engine)
            try:
                processes.open_server(meanwhile=lambda: _start_workers(processes, workers))
                if not processes.has_workers:
                    _start_workers(processes, workers)
            except BaseException:
                processes.close()
                raise
            supervision = Supervision(processes, notify)
            supervision.start()
            _STARTED[settings.data_dir] = _Started(supervision)
        elif not _STARTED[settings.data_dir].supervision.processes.has_workers:
            _start_workers(_STARTED[settings.data_dir].supervision.processes, workers)
        client = Client(data_dir=settings.data_dir)
        _STARTED[settings.data_dir].clients.append(client)
    return client


@checked_call
def stop(*, data_dir: str | Path | None = None) -> None:
    """End what `start` and `fit` have started; workers give their trials back, and nothing stored is lost.

    Args:
        data_dir: Of the server to end; None for all.
    """
    with _LOCK:
        wanted = list(_STARTED) if data_dir is None else [Settings.load(data_dir=data_dir).data_dir]
        ending = [_STARTED.pop(folder) for folder in wanted if folder in _STARTED]
    for one in ending:
        for client in one.clients:
            client.close()
        one.supervision.stop()


def check(data_dir: Path) -> None:
    """Return when what was started for a data directory is looked after.

    Raises:
        HpsearchError: It keeps dying; the message holds the end of a log.
    """
    started = _STARTED.get(data_dir)
    if started is not None and started.supervision.error is not None:
        raise started.supervision.error


def _start_workers(processes: LocalProcesses, workers: int | None) -> None:
    if workers != 0:
        processes.start_workers(workers)


def notify(text: str) -> None:
    """Print a message for people at a notebook or a terminal."""
    print(text, file=sys.stderr)  # noqa: T201 - what it is for


atexit.register(stop)
