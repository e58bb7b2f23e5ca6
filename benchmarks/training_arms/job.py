"""Job and Report: what a measured process is asked and what it answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.training_arms.ledger import Mark
from benchmarks.training_arms.workload import Trial

NATIVE_ARMS: Final = ("native", "native-warm")
# For processes that share the cores: they do so best when each keeps to one.
ONE_THREAD: Final = dict.fromkeys(
    ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    "1",
)


@dataclass(frozen=True)
class Job:
    """What one process has to train.

    Attributes:
        arm: Which way.
        data: Folder of the prepared set.
        trials: In the order of the list.
        results: The file that takes the results.
        scratch: An empty folder of its own.
        programs: Folder of compiled programs; None keeps none.
        n_processes: Of the arm that trains in several.
    """

    arm: str
    data: Path
    trials: tuple[Trial, ...]
    results: Path
    scratch: Path
    programs: Path | None = None
    n_processes: int = 1

    def write(self, path: Path) -> None:
        """Write the job for the process to read."""
        path.write_text(json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the job of a file."""
        stored: dict[str, Any] = json.loads(path.read_text())
        for name in ("data", "results", "scratch", "programs"):
            stored[name] = None if stored[name] is None else Path(stored[name])
        return cls(**{**stored, "trials": tuple(Trial.of(trial) for trial in stored["trials"])})


@dataclass(frozen=True)
class Report:
    """What a process says when all results are stored.

    Attributes:
        began: When the clock started, if that was later than the start of the process.
        first: When each of its trainers had stored its first result: the latest of them, with their CPU time summed.
        stored: When all results were stored.
        n_first: How many trials were done at `first`: one for each training process.
        peak_bytes: Largest resident memory, summed over the training processes.
        device_peak_bytes: Largest memory taken on a GPU; 0 without one.
        log: Sentences of the engine.
    """

    began: Mark | None
    first: Mark
    stored: Mark
    n_first: int
    peak_bytes: int
    device_peak_bytes: int = 0
    log: tuple[str, ...] = ()

    def write(self, path: Path) -> None:
        """Write the report for the parent to read."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the report of a file."""
        stored: dict[str, Any] = json.loads(path.read_text())
        for name in ("began", "first", "stored"):
            stored[name] = None if stored[name] is None else Mark(**stored[name])
        return cls(**{**stored, "log": tuple(stored["log"])})
