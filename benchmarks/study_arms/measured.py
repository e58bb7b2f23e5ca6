"""One measured command: its wall time, the CPU time and the memory of all its processes."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import psutil

from hpsearch.local.children import Child, stop

_LOOK_EVERY_S: Final = 0.2
# `hpsearch run` gives its trials back and ends its server before it goes.
_GRACE_S: Final = 30.0
_NAMED_WORDS: Final = 2
# A program given on the command line is named by the module whose `main` it calls.
_MODULE: Final = re.compile(r"(?s).*from ([\w.]+) import main.*")


@dataclass(frozen=True)
class Cost:
    """What a command took.

    Attributes:
        started_at: Unix time.
        exit_s: Seconds until the command had ended.
        cpu_s: User and system time of all its processes.
        peak_process_bytes: Largest resident memory of one process, as seen by looking five times a second.
        peak_tree_bytes: Largest sum over all processes; pages that two of them share count twice.
        largest: Peak of each of its processes by what it runs, the largest of those that run the same.
    """

    started_at: float
    exit_s: float
    cpu_s: float
    peak_process_bytes: int
    peak_tree_bytes: int
    largest: dict[str, int]


def measure(name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Cost:
    """Run a command to its end and return what it took; whatever ends this process ends the command first.

    Args:
        name: For people.
        command: With its arguments.
        log: Takes what it says.
        environment: All of it.

    Raises:
        SystemExit: It failed; the message holds the end of its log.
    """
    before_s = _children_cpu_s()
    started_at, started_s = time.time(), time.monotonic()
    with log.open("ab") as output:
        # A session of its own: Ctrl-C in the terminal reaches this process alone, which then stops all in order.
        process = subprocess.Popen(
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    child = Child(name, process, log, 0, started_s)
    watch = _Watch(process.pid)
    try:
        watch.start()
        process.wait()
        exit_s = time.monotonic() - started_s
    finally:
        watch.finish()
        stop([child], _GRACE_S)
    if process.returncode:
        raise SystemExit(child.exit_report())
    return Cost(
        started_at=started_at,
        exit_s=exit_s,
        # What nobody waited for is missing in the kernel's sum, and the last moments in what was seen.
        cpu_s=max(_children_cpu_s() - before_s, watch.cpu_s),
        peak_process_bytes=max(watch.largest.values(), default=0),
        peak_tree_bytes=watch.peak_tree_bytes,
        largest=watch.largest,
    )


def _children_cpu_s() -> float:
    """Return the CPU time of all children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class _Watch(Thread):
    """Looks at a process and all below it until told to finish."""

    def __init__(self, pid: int) -> None:
        super().__init__(name="watch", daemon=True)
        self._root = psutil.Process(pid)
        self._over = Event()
        self._cpu_s: dict[int, float] = {}
        self.peak_tree_bytes = 0
        self.largest: dict[str, int] = {}

    @property
    def cpu_s(self) -> float:
        """CPU time of all processes that were seen, up to the last look at each."""
        return sum(self._cpu_s.values())

    def run(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self._look()

    def finish(self) -> None:
        """Stop looking."""
        self._over.set()
        if self.is_alive():
            self.join()

    def _look(self) -> None:
        total = 0
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return
        for process in processes:
            try:
                with process.oneshot():
                    times, held, words = process.cpu_times(), int(process.memory_info().rss), process.cmdline()
            except psutil.Error:  # it has just ended
                continue
            self._cpu_s[process.pid] = times.user + times.system
            if not held:  # it has ended and nobody has waited for it yet
                continue
            named = _named(words)
            self.largest[named] = max(self.largest.get(named, 0), held)
            total += held
        self.peak_tree_bytes = max(self.peak_tree_bytes, total)


def _named(words: Sequence[Any]) -> str:
    """Return what a command line runs, without the interpreter, its options, paths, addresses and numbers."""
    kept = [_MODULE.sub(r"\1", str(word)) for word in words[1:]]
    kept = [word for word in kept if word[:1] not in ("-", "/") and "//" not in word and not word[:1].isdigit()]
    kept = list(dropwhile(lambda word: "." not in word, kept))  # values of the interpreter's options
    return " ".join(kept[:_NAMED_WORDS]) or Path(str(words[0]) if words else sys.executable).name
