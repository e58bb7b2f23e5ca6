"""A study's waiting and running trials under its lock: which there are, and in which order they are claimed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, Select, and_, literal, literal_column, select, update

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.storage.guarded_moves import lock_in_order
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.queue import QUEUED, WAITING
from hpsearch.storage.records import QueuedTrial, to_record
from hpsearch.storage.tables import trial

_OPEN: Final[ColumnElement[bool]] = literal_column("trial.state IN ('WAITING', 'RUNNING')")


class OpenTrials:
    """The trials of a study that have not ended."""

    def __init__(self, connection: Connection, study_id: int, *, lease_clock: LeaseClock) -> None:
        self._connection = connection
        self._study_id = study_id
        self._now = lease_clock.now

    def _of(self, state: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(trial.c.study_id == self._study_id, state)

    def _read(self, statement: Select[tuple[object, ...]]) -> list[QueuedTrial]:
        return [to_record(QueuedTrial, row) for row in self._connection.execute(statement)]

    def all(self) -> list[QueuedTrial]:
        """Return them, held until the transaction ends, so that nobody claims or takes one back meanwhile."""
        statement = QUEUED.where(self._of(_OPEN)).order_by(trial.c.id)
        return self._read(statement.with_for_update(key_share=True, of=trial))

    def free(self) -> list[QueuedTrial]:
        """Return the waiting ones, held until the transaction ends.

        Rows that another transaction holds are passed over: they are being claimed or taken back. So this may be asked
        while other trials are held already, and waits for nobody.
        """
        statement = QUEUED.where(self._of(WAITING)).order_by(trial.c.id)
        return self._read(statement.with_for_update(skip_locked=True, key_share=True, of=trial))

    def last_untouched(self) -> QueuedTrial | None:
        """Return the newest waiting search trial that nobody has begun, held; None when there is none."""
        untouched = and_(trial.c.kind == TrialKind.SEARCH.value, trial.c.attempt == 0)
        statement = QUEUED.where(self._of(WAITING), untouched).order_by(trial.c.id.desc()).limit(1)
        return next(iter(self._read(statement.with_for_update(key_share=True, of=trial))), None)

    def move_to_front(self, trial_id: int) -> bool:
        """Put a waiting trial before all others of its priority; return whether it was waiting."""
        statement = update(trial).where(trial.c.id == trial_id, WAITING)
        return self._connection.execute(statement.values(turn=0)).rowcount == 1

    def hold(self, *, held: bool) -> None:
        """Keep the waiting ones from being claimed, or let them go."""
        lock_in_order(self._connection, self._of(WAITING))
        self._connection.execute(update(trial).where(self._of(WAITING)).values(held=held))

    def prioritise(self, priority: int) -> None:
        """Give them another priority."""
        lock_in_order(self._connection, self._of(_OPEN))
        self._connection.execute(update(trial).where(self._of(_OPEN)).values(precedence=-priority))

    def postpone(self, delay_s: float) -> None:
        """Let the waiting ones wait so many seconds at least; those that others hold are left alone."""
        later = self._now + delay_s
        self._reschedule(trial.c.available_at < later, later)

    def forgive_pause(self) -> None:
        """End the pauses of the waiting ones; those that others hold are left alone."""
        self._reschedule(trial.c.available_at > self._now, literal(0.0))

    def _reschedule(self, condition: ColumnElement[bool], at: ColumnElement[float]) -> None:
        # Passed over, not waited for: the caller may hold other trials of the study already.
        free = select(trial.c.id).where(self._of(WAITING), condition)
        ids = free.order_by(trial.c.id).with_for_update(skip_locked=True, key_share=True).cte("free")
        mine = and_(trial.c.id.in_(select(ids.c.id)), WAITING)
        self._connection.execute(update(trial).where(mine).values(available_at=at))
