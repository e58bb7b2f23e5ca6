"""Optuna + Keras on all cores: one process a core, one study in Optuna's journal, from the start to the model file.

    python -m benchmarks.study_arms.optuna_arm JOB.json

The parent imports neither Optuna nor Keras: it starts the processes, waits for them and takes the best model.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.study_arms.trials import read_trials, write_trials
from benchmarks.training_arms.job import ONE_THREAD
from hpsearch.cli.stopping import stop_signals

_PAUSE_S: Final = 0.02


@dataclass(frozen=True)
class Job:
    """What the arm is asked.

    Attributes:
        data: Folder with plan and rows.
        scratch: An empty folder of its own; takes `trials.json` at the end.
        out: The model file to write.
        seed: Of the samplers and the networks.
        n_processes: Normally one a core.
    """

    data: Path
    scratch: Path
    out: Path
    seed: int
    n_processes: int

    def write(self, path: Path) -> None:
        """Write the job for a process to read."""
        path.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the job of a file."""
        stored: dict[str, Any] = json.loads(path.read_text())
        return cls(**{**stored, **{name: Path(stored[name]) for name in ("data", "scratch", "out")}})


def run(path: Path) -> None:
    """Run the study of a job file.

    Raises:
        SystemExit: A process failed; its own words stand above.
    """
    job = Job.read(path)
    command = [sys.executable, "-m", "benchmarks.study_arms.optuna_process", str(path)]
    running = [
        subprocess.Popen([*command, str(place)], env=os.environ | ONE_THREAD) for place in range(job.n_processes)
    ]
    try:
        _wait(running)
    finally:
        for process in running:
            process.kill()
            process.wait()
    told = [read_trials(job.scratch / f"{place}.trials.json") for place in range(job.n_processes)]
    write_trials(chain.from_iterable(told), job.scratch / "trials.json")
    best = json.loads((job.scratch / "winner.json").read_text())
    shutil.move(job.scratch / best["model"], job.out)


def _wait(running: list[subprocess.Popen[bytes]]) -> None:
    """Return when all have ended; one that fails leaves the others waiting for it, so that it ends all."""
    while True:
        ends = [process.poll() for process in running]
        if any(end not in (None, 0) for end in ends):
            msg = "one of the processes failed; its own words are above"
            raise SystemExit(msg)
        if None not in ends:
            return
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    with stop_signals():
        run(Path(sys.argv[1]))
