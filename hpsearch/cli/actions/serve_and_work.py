"""Actions of `hpsearch serve` and `hpsearch worker`: read settings and flags, then run the server or the worker."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hpsearch import _layout
from hpsearch.cli import failure
from hpsearch.cli.connecting import require_token
from hpsearch.cli.console import note
from hpsearch.cli.durations import seconds
from hpsearch.errors import NotFoundError
from hpsearch.local import server as local
from hpsearch.local.environment import BESIDE_VARIABLE
from hpsearch.local.local_processes import LocalProcesses
from hpsearch.local.supervision import Supervision
from hpsearch.settings import Settings


@dataclass(frozen=True)
class WorkerFlags:
    """How a worker is to be run, as typed."""

    name: str | None = None
    trainers: int | None = None
    engine: str = "auto"
    work_dir: Path | None = None
    max_idle: str | None = None
    log_json: bool = False


def work(server: str | None, token: str | None, data_dir: Path | None, flags: WorkerFlags) -> int:
    """Run a worker until it is told to stop, and return the exit code.

    Raises:
        HpsearchError: There is no server to work for, or the worker can not work at all.
    """
    settings = Settings.load(data_dir=data_dir)
    is_beside = os.environ.pop(BESIDE_VARIABLE, None) is not None
    url = "" if is_beside else server or local.find(settings)
    if url is None:
        msg = f"No local server runs for {settings.data_dir}: start one with  hpsearch serve  or name one with --server"
        raise NotFoundError(msg, code="local.nothing")
    given: dict[str, Any] = {
        "name": flags.name,
        "trainers": flags.trainers,
        "work_dir": flags.work_dir,
        "max_idle_s": None if flags.max_idle is None else float(seconds(flags.max_idle)),
    }
    worker_options = _layout.load("workers.options").WorkerOptions(
        server=url,
        token=None if is_beside else require_token(url, token, settings),
        seek=partial(_announced, settings) if is_beside else None,
        engine=flags.engine,
        log_json=flags.log_json,
        **{field: value for field, value in given.items() if value is not None},
    )
    run_worker = _layout.load("workers.main").run_worker
    gc.freeze()
    gc.enable()
    return int(run_worker(worker_options))


def _announced(settings: Settings) -> tuple[str, str | None] | None:
    """Return address and token of the local server once it answers, None before.

    A probe, not only the server file: a killed server leaves the file behind, and its process id may live on.
    """
    url = local.find(settings)
    return None if url is None else (url, local.token_of(settings))


@dataclass(frozen=True)
class ServeFlags:
    """How the server is to be run, as typed."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int | None = None
    engine: str | None = None
    data_dir: Path | None = None
    database_url: str | None = None
    log_json: bool = False


def serve(flags: ServeFlags) -> int:
    """Run the server, with local workers beside it if asked for, and return the exit code.

    Raises:
        HpsearchError: It can not serve; the message says why.
    """
    settings = Settings.load(data_dir=flags.data_dir, database_url=flags.database_url, workers=flags.workers)
    run = _layout.load("api.serve").run
    workers = _WorkersBeside(settings, flags.engine)
    hooks = {"on_listening": workers.start, "on_stopping": workers.stop} if settings.workers else {}
    try:
        run(flags.host, flags.port, settings, log_json=flags.log_json, **hooks)
    finally:
        workers.stop()
    return failure.OK


class _WorkersBeside:
    """The local workers of `serve --workers`: started when the server listens, supervised, stopped before it stops."""

    def __init__(self, settings: Settings, engine: str | None) -> None:
        self._settings = settings
        self._processes = LocalProcesses(settings, notify=note, engine=engine)
        self._supervision = Supervision(self._processes, note)

    def start(self, url: str) -> None:
        announced = local.announced(self._settings)
        self._processes.url = announced[0] if announced else url
        self._processes.token = local.token_of(self._settings)
        self._processes.start_workers(self._settings.workers)
        self._supervision.start()

    def stop(self) -> None:
        self._supervision.stop()
