"""Commands of hpsearch as processes of their own, for tests that run the product from outside; none outlives them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_START_TIMEOUT_S = 90.0
_STOP_TIMEOUT_S = 30.0


def hpsearch(*arguments: str, python: Path | None = None) -> list[str]:
    """Return the command line of an hpsearch command, with this run's Python or another."""
    return [str(python or sys.executable), "-m", "hpsearch.cli", *arguments]


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the body ends, then ask it to stop and see that it stops cleanly.

    Args:
        command: With the program.
        log: File its output goes to.
        cwd: Where it runs; None for here.
        environment: Variables to set beside those of this process.
    """
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
        process.terminate()
        assert process.wait(_STOP_TIMEOUT_S) == 0, said(log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def address_of(data_dir: Path, server: subprocess.Popen[bytes], log: Path) -> str:
    """Return the address a starting local server leaves in its data directory."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            url: str = json.loads((data_dir / "server.json").read_text(encoding="utf-8"))["url"]
            return url
        time.sleep(0.1)
    raise AssertionError(said(log))


def said(log: Path) -> str:
    """Return what a process has written so far."""
    return log.read_text(encoding="utf-8", errors="replace")
