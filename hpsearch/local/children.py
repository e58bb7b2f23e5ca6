"""Child processes: `hpsearch` commands with a log file, in a process group of their own, stopped as a whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hpsearch.interpreter import python_command

_MAX_LOG_BYTES: Final = 10 * 2**20
_TAIL_BYTES: Final = 16 * 1024
_PAUSE_S: Final = 0.01


@dataclass
class Child:
    """One running part of hpsearch.

    Attributes:
        name: For people: `server`, `worker 1`.
        log: Where its output goes.
        log_start: Size of the log when it was started.
        started_s: Monotonic time of its start.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    log_start: int
    started_s: float

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    @property
    def age_s(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started_s

    def tail(self, n_lines: int = 12) -> list[str]:
        """Return the last lines it wrote since its start; empty lines are left out."""
        try:
            with self.log.open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(max(self.log_start, end - _TAIL_BYTES))
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-n_lines:]

    def exit_report(self) -> str:
        """Return how it ended and the end of its log, as a few lines for a person."""
        code = self.process.poll()
        lines = self.tail()
        told = next((line.removeprefix("Error: ") for line in reversed(lines) if line.startswith("Error: ")), None)
        how = "was ended by " + _signal_name(-code) if code is not None and code < 0 else f"ended with exit code {code}"
        head = f"The {self.name} {how}{': ' + told if told else ''}"
        if told or not lines:
            return f"{head} (its log is {self.log})"
        return "\n".join([f"{head}; the end of its log {self.log}:", *(f"  {line}" for line in lines)])


def start(
    name: str,
    arguments: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str | None] | None = None,
) -> Child:
    """Return a running `hpsearch` command that ends when this process ends.

    To be called from the main thread: on Linux the child ends with the thread that started it.

    Args:
        name: For people.
        arguments: Of the command line, without `hpsearch`.
        log: File the output is appended to.
        environment: Variables to set; None values are unset. Secrets go here, as arguments are visible to everyone.
    """
    merged = {key: value for key, value in (os.environ | dict(environment or {})).items() if value is not None}
    command = python_command("-m", "hpsearch.cli.parent_watch", str(os.getpid()), *arguments)
    log_start = _prepare(log)
    with log.open("ab") as file:
        # A session of its own: Ctrl-C in the terminal reaches this process alone, which then stops all in order.
        process = subprocess.Popen(
            command, env=merged, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    return Child(name, process, log, log_start, time.monotonic())


def stop(children: Iterable[Child], grace_s: float) -> None:
    """End the children and everything they started: SIGTERM, and SIGKILL for what is left after the grace.

    Args:
        children: All get SIGTERM at once and are waited for together.
        grace_s: Seconds they have to give trials back and close files; 0 kills at once.
    """
    listed = [child for child in children if child.is_alive]
    for child in listed if grace_s > 0 else ():
        child.process.terminate()
    deadline = time.monotonic() + grace_s
    while any(child.is_alive for child in listed) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    for child in listed:
        kill_group(child)


def kill_group(child: Child) -> None:
    """Kill a child's process group with SIGKILL: a trainer may live on where its supervisor was killed."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()


def _prepare(log: Path) -> int:
    """Return the size of the log to be appended to, after moving a huge one aside."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > _MAX_LOG_BYTES:
        log.replace(log.with_suffix(".old.log"))
    log.touch(mode=0o600)
    return log.stat().st_size


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
