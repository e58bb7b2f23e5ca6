from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.workers.fake_server import TOKEN, FakeServer

_PROGRAM = """
import json, sys
from pathlib import Path
from workers.main import run_worker
from workers.options import WorkerOptions
from hpsearch.errors import HpsearchError
options = json.loads(sys.argv[1])
options["work_dir"] = Path(options["work_dir"])
try:
    sys.exit(run_worker(WorkerOptions(name="test", **options)))
except HpsearchError as error:
    print("ERROR", error.code, error.message, file=sys.stderr, flush=True)
    sys.exit(1)
"""


def wait_until(condition: Callable[[], Any], timeout_s: float = 40.0) -> None:
    """Wait for a condition; fail after a while."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.02)


class WorkerProcess:
    """A real worker process with the stub engine."""

    def __init__(self, folder: Path, stub: dict[str, str], options: dict[str, Any]) -> None:
        self.log = folder / "worker.log"
        self.work_dir = folder / "work"
        options = {"engine": "stub", "wait_s": 0.3, "work_dir": str(self.work_dir)} | options
        environment = {f"HPSEARCH_STUB_{name.upper()}": value for name, value in ({"engine": "1"} | stub).items()}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, json.dumps(options)],
                stdout=output,
                stderr=output,
                env=os.environ | environment,
            )

    def trainers(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def wait(self, timeout_s: float = 30.0) -> int:
        return self.process.wait(timeout_s)

    def said(self) -> str:
        return self.log.read_text()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer().start()
    yield server
    server.stop()


@pytest.fixture
def start_worker(server: FakeServer, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    started: list[WorkerProcess] = []

    def start(token: str = TOKEN, stub: dict[str, str] | None = None, **options: Any) -> WorkerProcess:
        folder = tmp_path / f"worker-{len(started)}"
        folder.mkdir()
        started.append(WorkerProcess(folder, stub or {}, {"server": server.url, "token": token} | options))
        return started[-1]

    yield start
    for worker in started:
        worker.end()
