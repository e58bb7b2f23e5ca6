"""The queue: claims and leases, without a study's lock. Every guard is inside the statement that changes the row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Select,
    and_,
    bindparam,
    case,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from hpsearch.domain.lifecycle import TrialEvent, TrialState
from hpsearch.storage.attempts import END_ATTEMPT
from hpsearch.storage.executemany import one_or_many
from hpsearch.storage.guarded_moves import lock_in_order, move, state_in
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.lease_shift import Limits, shift
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.records import ClaimedRow, QueuedTrial, columns_of, to_record
from hpsearch.storage.tables import attempt, study, trial, worker

_CLAIMED = columns_of(ClaimedRow, trial)
_OWN = (field.name for field in fields(QueuedTrial) if field.name not in ("study_uid", "model_threshold"))
QUEUED: Select[Any] = select(
    *(trial.c[name] for name in _OWN), study.c.uid.label("study_uid"), study.c.model_threshold
).join_from(trial, study, study.c.id == trial.c.study_id)
# After so many seconds a trial that ran out of memory may go back to the worker it should avoid: there may be no other.
_AVOID_S = 60.0
WAITING: Final[ColumnElement[bool]] = literal_column("trial.state = 'WAITING'")


# Statements of the hot paths are built once: building one costs more than running it.


@cache
def _claim_statement(*, is_bound: bool) -> ReturningUpdate[Any]:
    now = LeaseClock.of_statement(is_bound=is_bound)
    free = (
        select(trial.c.id)
        .where(
            literal_column("trial.state = 'WAITING' AND NOT trial.held"),
            trial.c.available_at <= now,
            or_(
                trial.c.avoid_worker_id.is_(None),
                trial.c.avoid_worker_id != bindparam("by_worker"),
                trial.c.available_at + _AVOID_S <= now,
            ),
        )
        .order_by(trial.c.precedence, trial.c.turn, trial.c.id)
        .limit(bindparam("n_wanted"))
        .with_for_update(skip_locked=True, key_share=True)
        .cte("free")
        .prefix_with("MATERIALIZED")
    )
    return (
        update(trial)
        .where(trial.c.id.in_(select(free.c.id)), state_in(TrialEvent.CLAIM))
        .values(
            state=TrialState.RUNNING.value,
            attempt=trial.c.attempt + 1,
            worker_id=bindparam("by_worker"),
            lease_expires_at=now + bindparam("lease_seconds", type_=Double),
            last_epoch=0,
            started_at=bindparam("claimed_at", type_=trial.c.started_at.type),
        )
        .returning(*_CLAIMED)
    )


@cache
def _renew_statement(*, is_bound: bool, epochs: bool) -> ReturningUpdate[Any]:
    values: dict[str, Any] = {
        "lease_expires_at": LeaseClock.of_statement(is_bound=is_bound) + bindparam("lease_seconds", type_=Double)
    }
    if epochs:
        values["last_epoch"] = bindparam("epoch_now")
    return (
        update(trial)
        .where(
            tuple_(trial.c.id, trial.c.attempt).in_(bindparam("leases", expanding=True)),
            trial.c.worker_id == bindparam("by_worker"),
            state_in(TrialEvent.HEARTBEAT),
        )
        .values(values)
        .returning(trial.c.id)
    )


_LOOK_UP: Final = QUEUED.where(trial.c.uid.in_(bindparam("uids", expanding=True))).order_by(trial.c.id)
_LOCK: Final = _LOOK_UP.with_for_update(key_share=True, of=trial)
_BEGIN_ATTEMPT: Final = unread(insert(attempt).inline())
_CLAIMED_BEFORE: Final = (
    select(
        *_CLAIMED,
        and_(trial.c.attempt == attempt.c.attempt, trial.c.state == TrialState.RUNNING.value).label("current"),
    )
    .join(attempt, attempt.c.trial_id == trial.c.id)
    .where(attempt.c.worker_id == bindparam("by_worker"), attempt.c.claim_id == bindparam("claim"))
    .order_by(trial.c.id)
)


class Queue:
    """Claims and moves within one transaction.

    Args:
        at: The instant of the transaction.
        lease_clock: The time leases are compared with.
    """

    def __init__(self, connection: Connection, *, at: datetime, lease_clock: LeaseClock) -> None:
        self._connection = connection
        self._at = at
        self._clock = lease_clock

    @property
    def _now(self) -> ColumnElement[float]:
        return self._clock.now

    def claim(self, *, worker_id: int, claim_id: str, n: int, lease_s: float) -> list[ClaimedRow]:
        """Give up to ``n`` waiting trials to a worker, the highest priority and the longest waiting first.

        Rows another transaction is about to change are passed over, not waited for.
        """
        parameters = {
            **self._clock.parameters,
            "by_worker": worker_id,
            "n_wanted": n,
            "lease_seconds": lease_s,
            "claimed_at": self._at,
        }
        found = self._connection.execute(_claim_statement(is_bound=self._clock.is_bound), parameters)
        rows = [to_record(ClaimedRow, row) for row in found]
        rows.sort(key=lambda row: row.id)
        if rows:
            begun = {
                "worker_id": worker_id, "claim_id": claim_id, "started_at": self._at, "device_seconds": 0.0,
            }  # fmt: skip
            attempts = [{"trial_id": row.id, "attempt": row.attempt, **begun} for row in rows]
            self._connection.execute(_BEGIN_ATTEMPT, one_or_many(attempts))
        return rows

    def claimed(self, *, worker_id: int, claim_id: str) -> tuple[list[ClaimedRow], bool]:
        """Return the trials an earlier claim gave that are still its own, and whether it gave any at all."""
        rows = self._connection.execute(_CLAIMED_BEFORE, {"by_worker": worker_id, "claim": claim_id}).all()
        return [to_record(ClaimedRow, row[:-1]) for row in rows if row.current], bool(rows)  # type: ignore[arg-type]

    def look_up(self, uids: Sequence[str], *, lock: bool = False) -> dict[str, QueuedTrial]:
        """Return the queue's view of trials by public id; unknown ones are missing.

        Args:
            uids: Public ids.
            lock: Hold the rows until the transaction ends.
        """
        rows = self._connection.execute(_LOCK if lock else _LOOK_UP, {"uids": list(uids)})
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
        epochs = {trial_id: epoch for (trial_id, _), epoch in leases.items() if epoch}
        parameters = {
            **self._clock.parameters,
            "lease_seconds": lease_s,
            "leases": list(leases),
            "by_worker": worker_id,
        }
        single = len(leases) == 1 and bool(epochs)
        if single:
            parameters["epoch_now"] = next(iter(epochs.values()))
        statement = _renew_statement(is_bound=self._clock.is_bound, epochs=single)
        renewed = set(self._connection.execute(statement, parameters).scalars())
        if not single:
            self._note_epochs({trial_id: epoch for trial_id, epoch in epochs.items() if trial_id in renewed})
        return renewed

    def _note_epochs(self, epochs: Mapping[int, int]) -> None:
        if epochs:
            latest = case(epochs, value=trial.c.id)
            self._connection.execute(update(trial).where(trial.c.id.in_(list(epochs))).values(last_epoch=latest))

    def revive(self, given_up: QueuedTrial) -> bool:
        """Take a lapsed lease back if nobody took the trial meanwhile; return whether that was so.

        The loss is not counted any more, and the attempt has not ended. The lease has no end until it is renewed, in
        the same transaction.
        """
        n_lost = max(0, given_up.infra_attempts - 1)
        if not move(self._connection, given_up, TrialEvent.REVIVE, infra_attempts=n_lost, held=False):
            return False
        open_again = {"state": None, "cause": None, "ended_at": None, "detail": None}
        key = {"ended_id": given_up.id, "ended_attempt": given_up.attempt}
        self._connection.execute(END_ATTEMPT, {**key, **open_again})
        return True

    def lapsed(self, *, limit: int) -> list[QueuedTrial]:
        """Return running trials whose lease has passed, the longest overdue first; they may be renewed meanwhile."""
        statement = (
            QUEUED.where(literal_column("trial.state = 'RUNNING'"), trial.c.lease_expires_at < self._now)
            .order_by(trial.c.lease_expires_at)
            .limit(limit)
        )
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement)]

    def of_quarantined(self, *, limit: int) -> list[QueuedTrial]:
        """Return running trials of workers that are in quarantine now."""
        suspended = select(worker.c.id).where(worker.c.quarantined_until > self._now)
        statement = QUEUED.where(literal_column("trial.state = 'RUNNING'"), trial.c.worker_id.in_(suspended))
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement.limit(limit))]

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

    def shift_leases(self, seconds: float, limits: Limits) -> int:
        """Give every running lease, waiting time and quarantine some seconds more; return how many leases."""
        lock_in_order(self._connection, literal_column("trial.state IN ('WAITING', 'RUNNING')"))
        return shift(self._connection, self._now, seconds, limits)

    def open_of(self, study_id: int) -> list[QueuedTrial]:
        """Return a study's waiting and running trials as they are at this moment; nothing is locked."""
        statement = QUEUED.where(trial.c.study_id == study_id, literal_column("trial.state IN ('WAITING', 'RUNNING')"))
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement.order_by(trial.c.id))]

    def running_of_worker(self, worker_id: int) -> list[QueuedTrial]:
        """Return the trials a worker holds."""
        statement = QUEUED.where(trial.c.worker_id == worker_id, literal_column("trial.state = 'RUNNING'"))
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement)]

    def n_waiting(self, *, at_most: int) -> int:
        """Return how many trials could be claimed now, counted up to a limit."""
        statement = select(trial.c.id).where(
            literal_column("trial.state = 'WAITING' AND NOT trial.held"), trial.c.available_at <= self._now
        )
        return len(self._connection.execute(statement.limit(at_most)).all())

    def any_waiting(self) -> bool:
        """Return whether some trial could be claimed now."""
        return self.n_waiting(at_most=1) > 0
