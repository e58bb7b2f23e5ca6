"""What the queue should keep, in plain Python: studies, trials, attempts and workers, for the oracle to move."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hpsearch.domain.trial import Measurement, Outcome

FINISHED: Final = ("COMPLETE", "PRUNED", "INFEASIBLE", "FAILED")
OPEN: Final = ("WAITING", "RUNNING")


class Refused(Exception):  # noqa: N818 - not a failure: the answer the service should give
    """The service should say no, with an error of the tree."""


@dataclass
class Worker:
    """What the server keeps of a worker to decide on quarantine."""

    name: str
    failures_in_row: int = 0
    n_finished: int = 0
    n_quarantines: int = 0
    until: float = 0.0
    succeeded: float | None = None

    def quarantine(self, now: float, seconds: float) -> None:
        self.until, self.n_quarantines, self.failures_in_row = now + seconds, self.n_quarantines + 1, 0


@dataclass
class Ending:
    """How an attempt ended, and when; without an outcome it was not its worker who ended it."""

    worker: Worker
    state: str
    outcome: Outcome | None = None
    at: float = 0.0


@dataclass(eq=False)
class Trial:
    """One trial; ``not_before`` is the earliest and the latest instant of a pause drawn with jitter."""

    uid: str
    study: Study
    order: int
    state: str = "WAITING"
    attempt: int = 0
    lost: int = 0
    beyond_hope: bool = False
    ooms: int = 0
    worker: Worker | None = None
    avoid: Worker | None = None
    lease_end: float = 0.0
    held: bool = False
    hurried: bool = False
    not_before: tuple[float, float] = (0.0, 0.0)
    last_epoch: int = 0
    value: float | None = None
    grid_index: int | None = None
    epochs: dict[tuple[int, int], dict[str, float | None]] = field(default_factory=dict)
    endings: dict[int, Ending] = field(default_factory=dict)

    def back(self, now: float, *, wait: float = 0.0) -> None:
        self.state, self.held = "WAITING", self.study.state == "PAUSED"
        self.not_before = (now + 0.5 * wait, now + wait)

    @property
    def revivable(self) -> bool:
        last = self.endings.get(self.attempt)
        return self.state == "WAITING" and last is not None and last.state == "LOST" and last.outcome is None


@dataclass(eq=False)
class Study:
    """One study without confirmation, refit or baselines."""

    uid: str
    created_at: float
    max_trials: int
    asked: bool
    limit: int
    max_failed: int
    target: float | None = None
    wall_time_s: float | None = None
    grid_size: int | None = None
    state: str = "RUNNING"
    end_reason: str | None = None
    best: float | None = None
    trials: list[Trial] = field(default_factory=list)

    def n(self, *states: str) -> int:
        return sum(trial.state in states for trial in self.trials)

    @property
    def ended(self) -> bool:
        return self.state in ("COMPLETED", "CANCELLED", "FAILED")

    @property
    def gives_up(self) -> bool:
        return self.ended or self.state == "STOPPING" or self.end_reason is not None

    @property
    def n_creatable(self) -> int:
        replaced = 0 if self.grid_size is not None else self.n("CANCELLED")
        return max(0, self.max_trials + replaced - len(self.trials))

    @property
    def n_to_fill(self) -> int:
        if self.state != "RUNNING" or self.end_reason is not None:
            return 0
        return max(0, min(self.limit - self.n(*OPEN), self.n_creatable))

    def why_over(self, now: float) -> str | None:
        if sum(trial.state == "FAILED" and not trial.beyond_hope for trial in self.trials) >= self.max_failed:
            return "max_failed"
        if self.target is not None and self.best is not None and self.best >= self.target:
            return "target_reached"
        wanted = self.max_trials - (self.n("CANCELLED") if self.grid_size is not None else 0)
        if self.n(*FINISHED) >= wanted and self.n_creatable == 0:
            whole = self.grid_size == self.max_trials and not self.asked
            return "space_exhausted" if whole else "max_trials"
        if self.wall_time_s is not None and now - self.created_at >= self.wall_time_s:
            return "wall_time"
        return None

    def advance(self, now: float) -> None:
        if self.ended:
            return
        if self.end_reason is None:
            self.end_reason = self.why_over(now)
            if self.end_reason is None:
                return
            self.cancel_trials("WAITING")
        if self.n(*OPEN) == 0:
            if self.end_reason in ("max_trials", "space_exhausted", "wall_time") and self.best is None:
                self.end_reason = "no_result"
            self.state = "FAILED" if self.end_reason in ("max_failed", "no_result") else "COMPLETED"

    def cancel_trials(self, *states: str) -> None:
        for trial in self.trials:
            if trial.state in states:
                self.cancel_trial(trial)

    def cancel_trial(self, trial: Trial, outcome: Outcome | None = None) -> None:
        if trial.state == "RUNNING":
            assert trial.worker is not None
            trial.endings[trial.attempt] = Ending(trial.worker, "CANCELLED", outcome)
        trial.state = "CANCELLED"

    def reopen(self) -> None:
        if self.ended:
            self.state = "RUNNING"
        self.end_reason = None


@dataclass
class Entry:
    """One report about to be made."""

    trial: Trial | str
    attempt: int
    measurements: tuple[Measurement, ...] = ()
    outcome: Outcome | None = None

    @property
    def uid(self) -> str:
        return self.trial if isinstance(self.trial, str) else self.trial.uid
