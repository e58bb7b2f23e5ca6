"""A real server and real workers as processes of their own, as a user would start them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hpsearch.client import Client
from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.wire.pages import StudyView


@dataclass
class Stack:
    """One data directory with its server and workers."""

    folder: Path
    database_url: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    server: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        log: IO[bytes]
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "hpsearch.cli", *arguments]
            return subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **self.environment})

    def serve(self, port: int = 0) -> str:
        """Start the server and return its address once it answers."""
        (self.folder / "server.json").unlink(missing_ok=True)
        more = [] if self.database_url is None else ["--database-url", self.database_url]
        self.server = self._start("server", "serve", "--port", str(port), "--data-dir", str(self.folder), *more)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.server.poll() is not None:
                break
            try:
                return str(json.loads((self.folder / "server.json").read_text())["url"])
            except (FileNotFoundError, ValueError):
                time.sleep(0.05)
        raise AssertionError((self.folder / "server.log").read_text())

    @property
    def token(self) -> str:
        """The local admin token."""
        return (self.folder / "token").read_text().strip()

    def work(self, url: str, *more: str, token: str | None = None) -> subprocess.Popen[bytes]:
        """Start a worker that knows nothing but an address and a token."""
        name = f"worker-{len(self.workers)}"
        worker = self._start(name, "worker", "--server", url, "--token", token or self.token, "--name", name, *more)
        self.workers.append(worker)
        return worker

    def client(self, url: str) -> Client:
        """A client with the admin token."""
        return Client(url, self.token)

    def kill_server(self) -> None:
        """SIGKILL the server."""
        assert self.server is not None
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()

    def stop(self) -> None:
        """End everything, politely at first."""
        for process in (*self.workers, self.server):
            if process is not None and process.poll() is None:
                process.terminate()
        for process in (*self.workers, self.server):
            if process is not None:
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


@contextmanager
def stack(folder: Path, database_url: str | None = None, **environment: str) -> Iterator[Stack]:
    """Yield a stack in a folder; whatever it started is ended."""
    one = Stack(folder, database_url, environment)
    try:
        yield one
    finally:
        one.stop()


def wait_for_end(client: Client, study_id: str, *, timeout_s: float) -> StudyView:
    """Return the study once it has ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        study = client.studies.get(study_id)
        if study.state in STUDY_FINAL:
            return study
        time.sleep(0.2)
    msg = f"study {study.name} is still {study.state} after {timeout_s} s: {study.counts}"
    raise AssertionError(msg)
