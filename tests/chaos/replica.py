"""A server process of the chaos runs: started, killed and started again at the same address, its answers counted."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_START_TIMEOUT_S: Final = 90.0
_STOP_TIMEOUT_S: Final = 30.0
# Below the ports that systems give to outgoing connections: nobody takes the address while its server is dead.
_PORTS: Final = range(20_000, 32_000)

SERVE: Final = (sys.executable, "-m", "hpsearch.cli", "serve")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Replica:
    """One server.

    Attributes:
        log: Its output, over all its lives.
        data_dir: May be shared by the replicas of one PostgreSQL database.
        database_url: None for the SQLite file in the data directory.
        environment: Variables to set beside those of this process.
        command: What starts it, before the flags.
        n_kills: How often it was killed.
        n_starts: How often it was started.
    """

    log: Path
    data_dir: Path
    database_url: str | None
    environment: Mapping[str, str]
    command: Sequence[str] = SERVE
    port: int = field(default_factory=free_port)
    n_kills: int = 0
    n_starts: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address, in all its lives."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> None:
        """Start it."""
        flags = ["--port", str(self.port), "--data-dir", str(self.data_dir), "--log-json"]
        if self.database_url is not None:
            flags += ["--database-url", self.database_url]
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                [*self.command, *flags], env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
            )  # fmt: skip
        self.n_starts += 1
        if wait:
            self.wait_until_listening()

    def wait_until_listening(self) -> None:
        """Return once it takes connections.

        Raises:
            AssertionError: It ended, or took too long; with the end of its log.
        """
        assert self.process is not None
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while self.process.poll() is None and time.monotonic() < deadline_s:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the server did not start: " + self.log.read_text(errors="replace")[-1200:])

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL it."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.n_kills += 1

    def stop(self) -> int | None:
        """Ask it to stop and return its exit code; None when it did not run."""
        if self.process is None or self.process.poll() is not None:
            return None
        with suppress(AssertionError):  # one that has just been started may not yet listen to signals
            self.wait_until_listening()
        self.process.terminate()
        try:
            return self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield what it has logged, over all its lives; a line cut short by a kill is left out."""
        if not self.log.exists():
            return
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict):
                    yield record

    def answers(self) -> Counter[int]:
        """Return how many answers it gave, by status."""
        return Counter(record["status"] for record in self.records() if record.get("event") == "request")
