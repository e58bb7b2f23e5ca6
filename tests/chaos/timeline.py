"""Timeline: what the database says about who executed which trial when, and what was logged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from sqlalchemy import select

from hpsearch.storage.store import Store
from hpsearch.storage.tables import attempt, event, trial, worker


@dataclass(frozen=True)
class Execution:
    """One attempt of a trial."""

    trial_id: int
    attempt: int
    worker: str
    started_at: datetime
    ended_at: datetime | None
    state: str | None
    cause: str | None


@dataclass(frozen=True)
class Timeline:
    """Attempts in order, the number of events of each kind, and the states of the trials."""

    executions: Sequence[Execution]
    events: Counter[str]
    states: Counter[str]

    def lost(self, causes: Iterable[str] = ("lost",)) -> list[Execution]:
        """Return the attempts that infrastructure ended, for one of the causes."""
        wanted = {*causes, "lost_repeatedly"} if "lost" in causes else set(causes)
        return [one for one in self.executions if one.cause in wanted]

    def reclaims(self, killed_at: dict[str, datetime]) -> list[float]:
        """Return the seconds from each kill that hit a trial to its next start, of trials first lost by it.

        From its second loss on, a trial waits longer before it is tried again.
        """
        times = []
        for before, after in pairwise(self.executions):
            kill = killed_at.get(before.worker)
            is_next = (before.trial_id, before.attempt + 1) == (after.trial_id, after.attempt)
            if kill is not None and is_next and before.attempt == 1 and before.cause == "lost":
                times.append((after.started_at - kill).total_seconds())
        return times

    def returns(self, killed_at: dict[str, datetime]) -> list[float]:
        """Return the seconds from each kill that hit a trial until the trial was taken from the dead worker."""
        ends = [(killed_at[one.worker], one.ended_at) for one in self.lost() if one.worker in killed_at]
        return [(end - kill).total_seconds() for kill, end in ends if end is not None]

    def starts(self) -> list[datetime]:
        """Return when attempts were started, in order."""
        return sorted(one.started_at for one in self.executions)


def read(store: Store) -> Timeline:
    """Return the timeline of a database."""
    with store.read() as tx:
        rows = tx.connection.execute(
            select(
                attempt.c.trial_id, attempt.c.attempt, worker.c.name, attempt.c.started_at,
                attempt.c.ended_at, attempt.c.state, attempt.c.cause,
            )
            .join(worker, worker.c.id == attempt.c.worker_id)
            .order_by(attempt.c.trial_id, attempt.c.attempt)
        )  # fmt: skip
        executions = [Execution(*row) for row in rows]
        events = Counter(tx.connection.execute(select(event.c.kind)).scalars())
        states = Counter(tx.connection.execute(select(trial.c.state)).scalars())
    return Timeline(executions, events, states)


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies; 0 of none."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
