"""Snapshots of a study, and what is estimated from several: throughput, time left, the best so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.domain.study import MAX_TRIALS
from hpsearch.wire.pages import LeaderboardPage, RunningTrial, StudyView
from hpsearch.wire.workers import WorkerView

# Finished trials the pace is taken over.
_WINDOW: Final = 50


@dataclass(frozen=True)
class Snapshot:
    """A study at one moment.

    Attributes:
        study: As the server shows it.
        board: The top of its leaderboard.
        workers: Those the server has heard of lately.
        at_s: Monotonic seconds when it was taken.
        running: Some trials under way, the earliest first, each with its last epoch.
    """

    study: StudyView
    board: LeaderboardPage
    workers: tuple[WorkerView, ...]
    at_s: float
    running: tuple[RunningTrial, ...] = ()

    @property
    def stage(self) -> str:
        """What keeps all workers that have trials from training: `starting`, `fetching`, `compiling`; or empty."""
        present = [worker for worker in self.workers if worker.state != "GONE"]
        stages = {worker.stage for worker in present if worker.n_running}
        if stages and stages <= {"fetching", "compiling"}:
            return "compiling" if "compiling" in stages else "fetching"
        is_starting = not stages and any(worker.stage == "starting" for worker in present)
        return "starting" if is_starting and self.count("WAITING") else ""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen in the study."""
        return self.study.state in STUDY_FINAL

    @property
    def n_total(self) -> int | None:
        """Search trials it will finish; None when time or a target limits it instead."""
        total = self.study.budget.max_trials
        return total if total < MAX_TRIALS else None

    def count(self, state: str) -> int:
        """Return the trials of all kinds in a state."""
        return self.study.counts.get(state, 0)

    @property
    def best(self) -> float | None:
        """The best value so far."""
        return self.study.best.value if self.study.best else None


@dataclass
class Story:
    """What the snapshots of one command add up to.

    Attributes:
        started_s: Monotonic seconds of the first snapshot.
        best: The best value after each trial that finished while we watched.
    """

    started_s: float | None = None
    best: list[float] = field(default_factory=list)
    _finishes: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    _last: Snapshot | None = None
    _training_s: float = 0.0

    def add(self, snapshot: Snapshot) -> None:
        """Take the next snapshot."""
        n_finished = snapshot.study.n_trials
        if self.started_s is None:
            self.started_s = snapshot.at_s
        self._training_s, self._last = self._trained_s(snapshot), snapshot
        if not self._finishes or n_finished > self._finishes[-1][1]:
            self._finishes.append((self._training_s, n_finished))
            if snapshot.best is not None:
                self.best.append(snapshot.best)

    def elapsed_s(self, snapshot: Snapshot) -> float:
        """Return the seconds since the first snapshot."""
        return snapshot.at_s - (self.started_s if self.started_s is not None else snapshot.at_s)

    def _trained_s(self, snapshot: Snapshot) -> float:
        """Return the seconds until then in which something trained: what is compiled now says nothing of the pace."""
        if self._last is None or self._last.stage or snapshot.stage:
            return self._training_s
        return self._training_s + snapshot.at_s - self._last.at_s

    def left_s(self, snapshot: Snapshot) -> float | None:
        """Return the seconds the search will take from now at the present pace; None before that can be told."""
        budget, limits = snapshot.study.budget, snapshot.study.definition.budget
        guesses = []
        if limits.wall_time_s is not None:
            guesses.append(max(0.0, limits.wall_time_s - budget.wall_time_s))
        # The first entry is where we came in, not a finish; what happens before the first finish is starting up.
        known = list(self._finishes)[1:]
        if snapshot.n_total is not None and len(known) > 1:
            (first_s, first_n), (_, last_n) = known[0], known[-1]
            pace = (last_n - first_n) / max(self._trained_s(snapshot) - first_s, 1e-9)
            guesses.append(max(0, snapshot.n_total - snapshot.study.n_trials) / pace)
        return min(guesses, default=None)
