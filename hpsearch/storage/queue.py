"""The queue: claims, leases and guarded moves of trials. Every guard is inside the statement that changes the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from hpsearch.domain.lifecycle import MOVES, TrialEvent, TrialState, sources
from hpsearch.storage.records import ClaimedRow, QueuedTrial, columns_of, to_record
from hpsearch.storage.tables import attempt, study, trial

_CLAIMED = columns_of(ClaimedRow, trial)
_OWN = (field.name for field in fields(QueuedTrial) if field.name not in ("study_uid", "model_threshold"))
_QUEUED: Select[Any] = select(
    *(trial.c[name] for name in _OWN), study.c.uid.label("study_uid"), study.c.model_threshold
).join_from(trial, study, study.c.id == trial.c.study_id)
# After so many seconds a trial that ran out of memory may go back to the worker it should avoid: there may be no other.
_AVOID_S = 60.0


def _state_in(event: TrialEvent) -> ColumnElement[bool]:
    # Spelt out, not bound: a partial index serves only a condition the planner can read.
    states = ", ".join(f"'{state.value}'" for state in sources(event))
    return literal_column(f"trial.state IN ({states})")


class Queue:
    """Claims and moves within one transaction.

    Args:
        at: The instant of the transaction.
        lease_now: The database's time for leases, in seconds since the epoch.
    """

    def __init__(self, connection: Connection, *, at: datetime, lease_now: ColumnElement[float]) -> None:
        self._connection = connection
        self._at = at
        self._now = lease_now

    def claim(self, *, worker_id: int, claim_id: str, n: int, lease_s: float) -> list[ClaimedRow]:
        """Give up to ``n`` waiting trials to a worker, the highest priority and the longest waiting first.

        Rows another transaction is about to change are passed over, not waited for.
        """
        free = (
            select(trial.c.id)
            .where(
                literal_column("trial.state = 'WAITING' AND NOT trial.held"),
                trial.c.available_at <= self._now,
                or_(
                    trial.c.avoid_worker_id.is_(None),
                    trial.c.avoid_worker_id != worker_id,
                    trial.c.available_at + _AVOID_S <= self._now,
                ),
            )
            .order_by(trial.c.precedence, trial.c.id)
            .limit(n)
            .with_for_update(skip_locked=True, key_share=True)
            .cte("free")
            .prefix_with("MATERIALIZED")
        )
        statement = (
            update(trial)
            .where(trial.c.id.in_(select(free.c.id)), _state_in(TrialEvent.CLAIM))
            .values(
                state=TrialState.RUNNING.value,
                attempt=trial.c.attempt + 1,
                worker_id=worker_id,
                lease_expires_at=self._now + lease_s,
                last_epoch=0,
                started_at=self._at,
            )
            .returning(*_CLAIMED)
        )
        rows = [to_record(ClaimedRow, row) for row in self._connection.execute(statement)]
        rows.sort(key=lambda row: row.id)
        if rows:
            self._connection.execute(
                insert(attempt),
                [
                    {
                        "trial_id": row.id,
                        "attempt": row.attempt,
                        "worker_id": worker_id,
                        "claim_id": claim_id,
                        "started_at": self._at,
                        "device_seconds": 0.0,
                    }
                    for row in rows
                ],
            )
        return rows

    def claimed(self, *, worker_id: int, claim_id: str) -> tuple[list[ClaimedRow], bool]:
        """Return the trials an earlier claim gave that are still its own, and whether it gave any at all."""
        current = and_(trial.c.attempt == attempt.c.attempt, trial.c.state == TrialState.RUNNING.value)
        statement = (
            select(*_CLAIMED, current.label("current"))
            .join(attempt, attempt.c.trial_id == trial.c.id)
            .where(attempt.c.worker_id == worker_id, attempt.c.claim_id == claim_id)
            .order_by(trial.c.id)
        )
        rows = self._connection.execute(statement).all()
        return [to_record(ClaimedRow, row[:-1]) for row in rows if row.current], bool(rows)  # type: ignore[arg-type]

    def look_up(self, uids: Sequence[str], *, lock: bool = False) -> dict[str, QueuedTrial]:
        """Return the queue's view of trials by public id; unknown ones are missing.

        Args:
            uids: Public ids.
            lock: Hold the rows until the transaction ends.
        """
        statement = _QUEUED.where(trial.c.uid.in_(uids)).order_by(trial.c.id)
        rows = self._connection.execute(statement.with_for_update(key_share=True, of=trial) if lock else statement)
        return {row.uid: to_record(QueuedTrial, row) for row in rows}

    def renew(self, leases: Mapping[tuple[int, int], int], *, worker_id: int, lease_s: float) -> set[int]:
        """Renew the leases of running attempts and return the trials for which that was done.

        Args:
            leases: By (trial id, attempt): the highest epoch reported now, 0 when none.
            worker_id: Who reports.
            lease_s: Seconds from now.
        """
        if not leases:
            return set()
        epochs = [((trial.c.id == trial_id), epoch) for (trial_id, _), epoch in leases.items() if epoch]
        values: dict[str, Any] = {"lease_expires_at": self._now + lease_s}
        if epochs:
            values["last_epoch"] = case(*epochs, else_=trial.c.last_epoch)
        statement = (
            update(trial)
            .where(
                tuple_(trial.c.id, trial.c.attempt).in_(list(leases)),
                trial.c.worker_id == worker_id,
                _state_in(TrialEvent.HEARTBEAT),
            )
            .values(values)
            .returning(trial.c.id)
        )
        return set(self._connection.execute(statement).scalars())

    def move(
        self, trial_id: int, attempt_number: int, event: TrialEvent, values: Mapping[str, Any] | None = None
    ) -> bool:
        """Make one transition if the trial is in a state that allows it, under this attempt; return whether it was."""
        targets = {to for (_, cause), to in MOVES.items() if cause == event}
        (to,) = targets
        statement = (
            update(trial)
            .where(trial.c.id == trial_id, trial.c.attempt == attempt_number, _state_in(event))
            .values({**(values or {}), "state": to.value})
        )
        return self._connection.execute(statement).rowcount == 1

    def back_to_waiting(
        self,
        trial_id: int,
        attempt_number: int,
        event: TrialEvent,
        *,
        held: bool,
        delay_s: float,
        values: Mapping[str, Any],
    ) -> bool:
        """Return an attempt's trial to the queue, claimable after ``delay_s``; return whether it was running."""
        return self.move(
            trial_id,
            attempt_number,
            event,
            {**values, "held": held, "available_at": self._now + delay_s, "lease_expires_at": None},
        )

    def lapsed(self, *, limit: int) -> list[QueuedTrial]:
        """Return running trials whose lease has passed, the longest overdue first; they may be renewed meanwhile."""
        statement = (
            _QUEUED.where(literal_column("trial.state = 'RUNNING'"), trial.c.lease_expires_at < self._now)
            .order_by(trial.c.lease_expires_at)
            .limit(limit)
        )
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement)]

    def still_lapsed(self, trial_id: int, attempt_number: int) -> bool:
        """Return whether the same attempt is still running and overdue, and hold its row if so."""
        statement = (
            select(trial.c.id)
            .where(
                trial.c.id == trial_id,
                trial.c.attempt == attempt_number,
                literal_column("trial.state = 'RUNNING'"),
                trial.c.lease_expires_at < self._now,
            )
            .with_for_update(skip_locked=True, key_share=True)
        )
        return self._connection.execute(statement).first() is not None

    def shift_leases(self, seconds: float) -> int:
        """Move the end of every running lease, and every waiting trial's start, by some seconds; return how many."""
        self._connection.execute(
            update(trial)
            .where(literal_column("trial.state = 'WAITING'"))
            .values(available_at=trial.c.available_at + seconds)
        )
        statement = update(trial).where(literal_column("trial.state = 'RUNNING'"))
        return self._connection.execute(statement.values(lease_expires_at=trial.c.lease_expires_at + seconds)).rowcount

    def hold(self, study_id: int, *, held: bool) -> None:
        """Keep a study's waiting trials from being claimed, or let them go."""
        statement = update(trial).where(trial.c.study_id == study_id, literal_column("trial.state = 'WAITING'"))
        self._connection.execute(statement.values(held=held))

    def prioritise(self, study_id: int, priority: int) -> None:
        """Give a study's open trials another priority."""
        statement = update(trial).where(
            trial.c.study_id == study_id, literal_column("trial.state IN ('WAITING', 'RUNNING')")
        )
        self._connection.execute(statement.values(precedence=-priority))

    def open_of(self, study_id: int) -> list[QueuedTrial]:
        """Return a study's waiting and running trials."""
        statement = _QUEUED.where(trial.c.study_id == study_id, literal_column("trial.state IN ('WAITING', 'RUNNING')"))
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement.order_by(trial.c.id))]

    def running_of_worker(self, worker_id: int) -> list[QueuedTrial]:
        """Return the trials a worker holds."""
        statement = _QUEUED.where(trial.c.worker_id == worker_id, literal_column("trial.state = 'RUNNING'"))
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement)]

    def any_waiting(self) -> bool:
        """Return whether some trial could be claimed now."""
        statement = select(trial.c.id).where(
            literal_column("trial.state = 'WAITING' AND NOT trial.held"), trial.c.available_at <= self._now
        )
        return self._connection.execute(statement.limit(1)).first() is not None
