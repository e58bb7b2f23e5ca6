"""Many trials of a study at once, by one statement: failed ones back into the queue, waiting ones paused or let go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, literal, literal_column, select, update

from hpsearch.domain.lifecycle import TrialEvent, TrialState
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.queue import state_in
from hpsearch.storage.records import FailedRow, columns_of, to_record
from hpsearch.storage.tables import trial


def _failed_of(study_id: int, trial_id: int | None) -> tuple[ColumnElement[bool], ...]:
    one = () if trial_id is None else (trial.c.id == trial_id,)
    return (trial.c.study_id == study_id, state_in(TrialEvent.RETRY), *one)


class Requeue:
    """Trials of a study within one transaction, which holds the study's lock.

    Args:
        lease_clock: The time that pauses are compared with.
    """

    def __init__(self, connection: Connection, *, lease_clock: LeaseClock) -> None:
        self._connection = connection
        self._now = lease_clock.now

    def failed_of(self, study_id: int, trial_id: int | None = None) -> list[FailedRow]:
        """Return a study's failed trials, or one of them, held until the transaction ends; in order of their ids."""
        statement = select(*columns_of(FailedRow, trial)).where(*_failed_of(study_id, trial_id))
        statement = statement.order_by(trial.c.id).with_for_update(key_share=True)
        return [to_record(FailedRow, row) for row in self._connection.execute(statement)]

    def retry(self, study_id: int, trial_id: int | None, values: Mapping[str, Any]) -> None:
        """Put the trials that `failed_of` returns for the same arguments back into the queue, by one statement."""
        statement = update(trial).where(*_failed_of(study_id, trial_id))
        self._connection.execute(statement.values(state=TrialState.WAITING.value, **values))

    def postpone(self, study_id: int, delay_s: float) -> None:
        """Let a study's waiting trials wait so many seconds at least; those that others hold are left alone."""
        later = self._now + delay_s
        self._change_waiting(study_id, trial.c.available_at < later, later)

    def resume_waiting(self, study_id: int) -> None:
        """End the pauses of a study's waiting trials; those that others hold are left alone."""
        self._change_waiting(study_id, trial.c.available_at > self._now, literal(0.0))

    def _change_waiting(self, study_id: int, condition: ColumnElement[bool], at: ColumnElement[float]) -> None:
        # Passed over, not waited for: the caller may hold other trials of the study already.
        free = select(trial.c.id).where(
            trial.c.study_id == study_id, literal_column("trial.state = 'WAITING'"), condition
        )
        ids = free.order_by(trial.c.id).with_for_update(skip_locked=True, key_share=True).cte("free")
        mine = and_(trial.c.id.in_(select(ids.c.id)), literal_column("trial.state = 'WAITING'"))
        self._connection.execute(update(trial).where(mine).values(available_at=at))
