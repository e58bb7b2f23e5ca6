"""Laboratory: starts the measured processes one at a time and collects what each was good for."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from benchmarks.training_arms.job import NATIVE_ARMS, ONE_THREAD, Job, Report
from benchmarks.training_arms.ledger import read_results
from benchmarks.training_arms.workload import Facts, Trial

KERAS_ARMS: Final = ("keras-1", "keras-cores", "keras-tuner", "optuna")
FUSED_ARMS: Final = ("fused-first", "fused-later", "fused-warm")
# Those that are quick enough for the whole list.
QUICK_ARMS: Final = (*NATIVE_ARMS, *FUSED_ARMS)
ARMS: Final = (*KERAS_ARMS, "reference", *QUICK_ARMS)
QUIET: Final = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}


@dataclass(frozen=True)
class Run:
    """What one arm did once.

    Attributes:
        n_trials: Trained.
        n_first: Of them until `first_s`.
        wall_s: From the start of the clock until all results were stored.
        first_s: Until each of the arm's processes had stored one.
        cpu_s: Spent meanwhile, over all processes.
        first_cpu_s: Of it until `first_s`.
        peak_bytes: Largest resident memory.
        device_peak_bytes: Largest memory on a GPU.
        results: Score (None where it diverged) and epochs of each trial by its number.
        log: Sentences of the engine.
    """

    n_trials: int
    n_first: int
    wall_s: float
    first_s: float
    cpu_s: float
    first_cpu_s: float
    peak_bytes: int
    device_peak_bytes: int
    results: dict[int, tuple[float | None, int]]
    log: tuple[str, ...]

    def wall_for(self, n_trials: int) -> float:
        """Return the seconds that so many trials take, if each after the first takes as long as it did here."""
        return self._scaled(self.first_s, self.wall_s, n_trials)

    def cpu_for(self, n_trials: int) -> float:
        """Return the CPU seconds that so many trials take, likewise."""
        return self._scaled(self.first_cpu_s, self.cpu_s, n_trials)

    def _scaled(self, first_s: float, all_s: float, n_trials: int) -> float:
        if n_trials == self.n_trials:
            return all_s
        return first_s + (all_s - first_s) * (n_trials - self.n_first) / (self.n_trials - self.n_first)


class Laboratory:
    """Prepares sets and runs arms in a folder of its own.

    Args:
        folder: Empty.
        n_processes: Of the arm that trains in several.
    """

    def __init__(self, folder: Path, n_processes: int) -> None:
        self._folder = folder
        self._n_processes = n_processes
        self._numbers = count(1)
        self._rates: list[float] = []
        self._programs: dict[tuple[Path, str], Path] = {}
        self.device_kind = "cpu"
        self.device_name = ""

    @property
    def rate(self) -> float:
        """The device's matrix rate, operations per second: the median of what was measured between the arms."""
        return statistics.median(self._rates)

    def prepare(self, name: str) -> tuple[Path, Facts]:
        """Return the folder of a prepared set and its sizes."""
        folder = self._folder / name
        if not folder.exists():
            folder.mkdir()
            self._child("prepare", name, str(folder))
        return folder, Facts.read(folder)

    def measure_rate(self) -> None:
        """Measure the device's matrix rate once more."""
        file = self._folder / f"rate-{next(self._numbers)}.json"
        self._child("rate", str(file))
        found = json.loads(file.read_text())
        self.device_kind, self.device_name = found["kind"], found["name"]
        self._rates.append(float(found["rate"]))

    def run(self, arm: str, data: Path, trials: Sequence[Trial]) -> Run:
        """Return what an arm did with the trials, in a process of its own."""
        listed = (data, f"{len(trials)} trials from {trials[0]}")
        if arm in ("fused-later", "fused-warm") and listed not in self._programs:
            # Not measured: leaves the programs behind that these arms find.
            self.run("fused-first", data, trials)
        scratch = self._folder / f"{next(self._numbers)}-{arm}"
        scratch.mkdir()
        programs = None
        if arm == "fused-first":
            programs = self._programs[listed] = scratch / "programs"
        elif arm in FUSED_ARMS:
            programs = self._programs[listed]
        results = scratch / "results.db"
        Job(arm, data, tuple(trials), results, scratch, programs, self._n_processes).write(scratch / "job.json")
        started_s = time.monotonic()
        # As a worker does for the trainer of such an engine.
        environment = ONE_THREAD if arm in NATIVE_ARMS else {}
        self._child("train", str(scratch / "job.json"), str(scratch / "report.json"), environment=environment)
        report = Report.read(scratch / "report.json")
        before_s, before_cpu_s = (report.began.at_s, report.began.cpu_s) if report.began else (started_s, 0.0)
        run = Run(
            n_trials=len(trials),
            n_first=report.n_first,
            wall_s=report.stored.at_s - before_s,
            first_s=report.first.at_s - before_s,
            cpu_s=report.stored.cpu_s - before_cpu_s,
            first_cpu_s=report.first.cpu_s - before_cpu_s,
            peak_bytes=report.peak_bytes,
            device_peak_bytes=report.device_peak_bytes,
            results=read_results(results),
            log=report.log,
        )
        missing = sorted({trial.number for trial in trials} - set(run.results))
        if missing:
            msg = f"{arm} stored {len(run.results)} of {len(trials)} results; missing are trials {missing[:8]}"
            raise SystemExit(msg)
        return run

    def pack_sizes(self, data: Path, trials: Sequence[Trial], sizes: Sequence[int]) -> list[tuple[int, float]]:
        """Return pack sizes and the trials per hour in warm packs of that size, all measured in one process."""
        scratch = self._folder / f"{next(self._numbers)}-packs"
        scratch.mkdir()
        job, told = scratch / "job.json", scratch / "rates.json"
        Job("fused", data, tuple(trials), scratch / "results.db", scratch).write(job)
        self._child("packs", str(job), ",".join(map(str, sizes)), str(told))
        return [(int(size), float(rate)) for size, rate in json.loads(told.read_text())]

    def _child(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        log = self._folder / f"{next(self._numbers)}-{arguments[0]}.log"
        command = [sys.executable, "-m", "benchmarks.training_arms.child", *arguments]
        with log.open("wb") as output:
            done = subprocess.run(
                command, stdout=output, stderr=output, env=os.environ | QUIET | dict(environment or {}), check=False
            )
        if done.returncode:
            msg = f"a measured process ended with {done.returncode}:\n{log.read_text()[-3_000:]}"
            raise SystemExit(msg)
