"""The queue: claims, leases and guarded moves of trials. Every guard is inside the statement that changes the row."""

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
    Update,
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

from hpsearch.domain.lifecycle import MOVES, TrialEvent, TrialKind, TrialState, sources
from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.executemany import one_or_many
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.lease_shift import Limits, shift
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.records import ClaimedRow, QueuedTrial, columns_of, to_record
from hpsearch.storage.tables import attempt, study, trial, worker

_CLAIMED = columns_of(ClaimedRow, trial)
_OWN = (field.name for field in fields(QueuedTrial) if field.name not in ("study_uid", "model_threshold"))
_QUEUED: Select[Any] = select(
    *(trial.c[name] for name in _OWN), study.c.uid.label("study_uid"), study.c.model_threshold
).join_from(trial, study, study.c.id == trial.c.study_id)
# After so many seconds a trial that ran out of memory may go back to the worker it should avoid: there may be no other.
_AVOID_S = 60.0


def state_in(event: TrialEvent) -> ColumnElement[bool]:
    """Return the condition that the event may happen to a trial."""
    # Spelt out, not bound: a partial index serves only a condition the planner can read.
    states = ", ".join(f"'{state.value}'" for state in sources(event))
    return literal_column(f"trial.state IN ({states})")


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


@cache
def _move_statement(event: TrialEvent) -> Update:
    (to,) = {to for (_, cause), to in MOVES.items() if cause == event}
    guard = (trial.c.id == bindparam("moved_id"), trial.c.attempt == bindparam("moved_attempt"), state_in(event))
    return update(trial).where(*guard).values(state=to.value)


_LOOK_UP: Final = _QUEUED.where(trial.c.uid.in_(bindparam("uids", expanding=True))).order_by(trial.c.id)
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

    def move(
        self, trial_id: int, attempt_number: int, event: TrialEvent, values: Mapping[str, Any] | None = None
    ) -> bool:
        """Make one transition if the trial is in a state that allows it, under this attempt; return whether it was."""
        plain = {"moved_id": trial_id, "moved_attempt": attempt_number}
        statement = _move_statement(event)
        if values and any(isinstance(value, ColumnElement) for value in values.values()):
            statement = statement.values(dict(values))
        else:
            plain |= values or {}
        return self._connection.execute(statement, plain).rowcount == 1

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

    def last_untouched(self, study_id: int) -> QueuedTrial | None:
        """Return the newest waiting search trial that nobody has begun, held; None when there is none."""
        untouched = and_(trial.c.kind == TrialKind.SEARCH.value, trial.c.attempt == 0)
        mine = _QUEUED.where(trial.c.study_id == study_id, literal_column("trial.state = 'WAITING'"), untouched)
        statement = mine.order_by(trial.c.id.desc()).limit(1).with_for_update(key_share=True, of=trial)
        row = self._connection.execute(statement).first()
        return None if row is None else to_record(QueuedTrial, row)

    def lapsed(self, *, limit: int) -> list[QueuedTrial]:
        """Return running trials whose lease has passed, the longest overdue first; they may be renewed meanwhile."""
        statement = (
            _QUEUED.where(literal_column("trial.state = 'RUNNING'"), trial.c.lease_expires_at < self._now)
            .order_by(trial.c.lease_expires_at)
            .limit(limit)
        )
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement)]

    def of_quarantined(self, *, limit: int) -> list[QueuedTrial]:
        """Return running trials of workers that are in quarantine now."""
        suspended = select(worker.c.id).where(worker.c.quarantined_until > self._now)
        statement = _QUEUED.where(literal_column("trial.state = 'RUNNING'"), trial.c.worker_id.in_(suspended))
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
        self._take(literal_column("trial.state IN ('WAITING', 'RUNNING')"))
        return shift(self._connection, self._now, seconds, limits)

    def _take(self, condition: ColumnElement[bool]) -> None:
        """Lock trials in order of their ids, before a statement that would take them in any order."""
        if not dialect_of(self._connection).has_one_writer:
            statement = select(trial.c.id).where(condition).order_by(trial.c.id)
            self._connection.execute(statement.with_for_update(key_share=True)).all()

    def hold(self, study_id: int, *, held: bool) -> None:
        """Keep a study's waiting trials from being claimed, or let them go."""
        mine = and_(trial.c.study_id == study_id, literal_column("trial.state = 'WAITING'"))
        self._take(mine)
        self._connection.execute(update(trial).where(mine).values(held=held))

    def hurry(self, trial_id: int) -> bool:
        """Put a waiting trial before all others of its priority; return whether it was waiting."""
        statement = update(trial).where(trial.c.id == trial_id, literal_column("trial.state = 'WAITING'"))
        return self._connection.execute(statement.values(turn=0)).rowcount == 1

    def prioritise(self, study_id: int, priority: int) -> None:
        """Give a study's open trials another priority."""
        mine = and_(trial.c.study_id == study_id, literal_column("trial.state IN ('WAITING', 'RUNNING')"))
        self._take(mine)
        self._connection.execute(update(trial).where(mine).values(precedence=-priority))

    def open_of(self, study_id: int, *, lock: bool = True) -> list[QueuedTrial]:
        """Return a study's waiting and running trials.

        Args:
            study_id: Internal id.
            lock: Hold them until the transaction ends, so that nobody claims or takes one back meanwhile.
        """
        statement = _QUEUED.where(trial.c.study_id == study_id, literal_column("trial.state IN ('WAITING', 'RUNNING')"))
        statement = statement.order_by(trial.c.id)
        if lock:
            statement = statement.with_for_update(key_share=True, of=trial)
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement)]

    def free_of(self, study_id: int) -> list[QueuedTrial]:
        """Return a study's waiting trials, held until the transaction ends.

        Rows that another transaction holds are passed over: they are being claimed or taken back. So this may be asked
        while other trials are held already, and waits for nobody.
        """
        statement = _QUEUED.where(trial.c.study_id == study_id, literal_column("trial.state = 'WAITING'"))
        statement = statement.order_by(trial.c.id).with_for_update(skip_locked=True, key_share=True, of=trial)
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement)]

    def running_of_worker(self, worker_id: int) -> list[QueuedTrial]:
        """Return the trials a worker holds."""
        statement = _QUEUED.where(trial.c.worker_id == worker_id, literal_column("trial.state = 'RUNNING'"))
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
