"""Ledger: where every arm stores its results, one durable row a trial, and the marks of the clock."""

from __future__ import annotations

import resource
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock


@dataclass(frozen=True)
class Mark:
    """A moment of a process.

    Attributes:
        at_s: On the clock that all processes of this machine share.
        cpu_s: Spent so far by the process and by those of its children that have ended.
    """

    at_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> Mark:
        """Return this moment."""
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(time.monotonic(), sum(usage.ru_utime + usage.ru_stime for usage in usages))


class Ledger:
    """Results of one process, committed one by one to a file that several processes may share.

    Args:
        path: Made if missing.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        with self._connection as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS result (number INTEGER, score REAL, n_epochs INTEGER)")
        self._lock = Lock()
        self.first: Mark | None = None

    def add(self, number: int, score: float | None, n_epochs: int) -> None:
        """Store the end of a trial.

        Args:
            number: Of the trial.
            score: Best validation accuracy; None where the trial diverged.
            n_epochs: Trained.
        """
        with self._lock, self._connection as connection:
            connection.execute("INSERT INTO result VALUES (?, ?, ?)", (number, score, n_epochs))
        self.first = self.first or Mark.now()


def read_results(path: Path) -> dict[int, tuple[float | None, int]]:
    """Return score and epochs of every stored trial by its number."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT number, score, n_epochs FROM result").fetchall()
    finally:
        connection.close()
    results = {int(number): (score, int(n_epochs)) for number, score, n_epochs in rows}
    if len(results) != len(rows):
        msg = f"{path.name} holds {len(rows)} results of {len(results)} trials; each must be there once"
        raise ValueError(msg)
    return results
