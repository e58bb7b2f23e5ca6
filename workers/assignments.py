"""Assignments: the trials this worker holds under a lease, and what of them is not reported yet."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Condition
from typing import Final

from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.wire.claims import ClaimedTrial, StudyBrief
from hpsearch.wire.reports import MAX_MEASUREMENTS, MAX_REPORTS, TrialReport

# Of all trials in one request, so that a request after a long outage stays within what a server takes: some 2 MB.
MAX_EPOCHS: Final = 5_000


@dataclass(eq=False)
class Assignment:
    """One attempt this worker holds.

    Attributes:
        ticket: This worker's own number of it.
        unsent: Epochs the server has not acknowledged, in order.
        outcome: How it ended, to be delivered; None while it runs or its model is still on its way.
        is_started: Whether a trainer has it, or had it.
        is_trained: Whether its trainer has said how it ended; the model may still be on its way to the server.
        is_over: Whether the server has its outcome or wants nothing more of it.
        n_epochs: Epochs trained so far.
        device_s: Its share of its trainer's time so far, for an attempt whose trainer can not say it any more.
        heard_s: Monotonic time of the last report on it; before the first, of the claim.
    """

    ticket: int
    trial: ClaimedTrial
    study: StudyBrief
    unsent: deque[Measurement] = field(default_factory=deque)
    outcome: Outcome | None = None
    is_started: bool = False
    is_trained: bool = False
    is_over: bool = False
    n_epochs: int = 0
    device_s: float = 0.0
    heard_s: float = field(default_factory=time.monotonic)

    @property
    def title(self) -> str:
        """For people: which trial of which study, which attempt."""
        again = f" (attempt {self.trial.attempt})" if self.trial.attempt > 1 else ""
        return f"trial {self.trial.number} of {self.study.name}{again}"


class Assignments:
    """The trials this worker holds; safe to use from all its threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._held: dict[int, Assignment] = {}
        self._tickets = itertools.count(1)
        self._has_news = False
        self._is_urgent = False

    def add(self, claimed: Iterable[tuple[ClaimedTrial, StudyBrief]]) -> list[Assignment]:
        """Return the assignments made of claimed trials; heartbeats cover all of them from now on.

        An attempt that is held already is left out: its claim was answered twice.
        """
        with self._changed:
            known = {(held.trial.trial_id, held.trial.attempt) for held in self._held.values()}
            added = [
                Assignment(next(self._tickets), trial, study)
                for trial, study in claimed
                if (trial.trial_id, trial.attempt) not in known
            ]
            self._held |= {assignment.ticket: assignment for assignment in added}
            self._changed.notify_all()
            return added

    def held(self) -> list[Assignment]:
        """Return all assignments that are not over."""
        with self._changed:
            return list(self._held.values())

    def n_unstarted(self) -> int:
        """Return how many assignments wait for data or for a trainer."""
        with self._changed:
            return sum(not a.is_started and a.outcome is None for a in self._held.values())

    def n_without_epoch(self) -> int:
        """Return how many assignments nobody has seen in training yet."""
        with self._changed:
            return sum(a.n_epochs == 0 and a.outcome is None for a in self._held.values())

    def get(self, ticket: int) -> Assignment | None:
        """Return an assignment that is not over, by its ticket."""
        with self._changed:
            return self._held.get(ticket)

    def measure(self, assignment: Assignment, measurement: Measurement) -> None:
        """Note one epoch, to be reported promptly."""
        with self._changed:
            if not assignment.is_over:
                assignment.unsent.append(measurement)
                self._tell()

    def settle(self, assignment: Assignment, outcome: Outcome) -> None:
        """Note how an attempt ended, to be reported promptly; the first word counts."""
        with self._changed:
            if not assignment.is_over and assignment.outcome is None:
                assignment.outcome = outcome
                self._tell(is_urgent=True)

    def replace(self, assignment: Assignment, outcome: Outcome) -> None:
        """Put another outcome in the place of whatever was to be reported of an attempt."""
        with self._changed:
            if not assignment.is_over:
                assignment.unsent.clear()
                assignment.outcome = outcome
                self._tell(is_urgent=True)

    def close(self, assignment: Assignment) -> bool:
        """Forget an attempt; return whether it was held until now."""
        with self._changed:
            assignment.is_over = True
            return self._held.pop(assignment.ticket, None) is not None

    def reports(self, quiet_s: float = 0.0) -> list[tuple[Assignment, TrialReport]]:
        """Return what is to be reported now: news, and a sign of life of every trial not spoken of for a while.

        What one request can not hold is the next one's; those not spoken of for longest come first.

        Args:
            quiet_s: A trial without news is left out if it was in a report less than so many seconds ago.
        """
        with self._changed:
            now_s = time.monotonic()
            due = [a for a in self._held.values() if a.unsent or a.outcome is not None or now_s - a.heard_s >= quiet_s]
            due.sort(key=lambda assignment: assignment.heard_s)
            self._has_news = len(due) > MAX_REPORTS
            self._is_urgent = False
            room = MAX_EPOCHS
            batch = []
            for assignment in due[:MAX_REPORTS]:
                measurements = tuple(itertools.islice(assignment.unsent, min(room, MAX_MEASUREMENTS)))
                room -= len(measurements)
                is_all = len(measurements) == len(assignment.unsent)
                self._has_news = self._has_news or not is_all
                assignment.heard_s = now_s
                batch.append((assignment, report_of(assignment, measurements, assignment.outcome if is_all else None)))
            return batch

    def quiet_for_s(self) -> float:
        """Return for how many seconds the trial not spoken of for longest was in no report; 0 without any trial."""
        with self._changed:
            now_s = time.monotonic()
            return max((now_s - assignment.heard_s for assignment in self._held.values()), default=0.0)

    def acknowledge(self, assignment: Assignment, report: TrialReport) -> None:
        """Note that the server has what the report held."""
        with self._changed:
            for measurement in report.measurements:
                if assignment.unsent and assignment.unsent[0] is measurement:
                    assignment.unsent.popleft()
            if report.outcome is not None:
                self.close(assignment)

    def wait_for_news(self, timeout_s: float) -> bool:
        """Wait until there is an epoch or an outcome to report; return whether there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_news, timeout_s)
            return self._has_news

    def wait_for_outcome(self, timeout_s: float) -> None:
        """Wait until there is an outcome to report, or the time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_urgent, timeout_s)

    def report_soon(self) -> None:
        """Have what the worker does reported promptly, with a sign of life of the trial not spoken of for longest."""
        with self._changed:
            if self._held:
                min(self._held.values(), key=lambda assignment: assignment.heard_s).heard_s = -math.inf
                self._tell()

    def wake(self) -> None:
        """End all waiting, because the worker stops."""
        with self._changed:
            self._tell(is_urgent=True)

    def _tell(self, *, is_urgent: bool = False) -> None:
        self._has_news = True
        self._is_urgent = self._is_urgent or is_urgent
        self._changed.notify_all()


def report_of(
    assignment: Assignment, measurements: tuple[Measurement, ...] = (), outcome: Outcome | None = None
) -> TrialReport:
    """Return the report of one attempt."""
    return TrialReport(
        trial_id=assignment.trial.trial_id,
        attempt=assignment.trial.attempt,
        measurements=measurements,
        outcome=outcome,
    )
