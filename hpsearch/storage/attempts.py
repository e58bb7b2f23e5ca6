"""Rows of `attempt` and `measurement`: who executed a trial when, and what was measured on the way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from sqlalchemy import Connection, bindparam, select, update

from hpsearch.domain.trial import Attempt
from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.dialects.base import Dialect, Insert
from hpsearch.storage.executemany import one_or_many
from hpsearch.storage.paging import check_limit, checked, decode_token, encode_token
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.tables import attempt, measurement, worker

END_ATTEMPT: Final = unread(
    update(attempt).where(attempt.c.trial_id == bindparam("ended_id"), attempt.c.attempt == bindparam("ended_attempt"))
)


@cache
def _add_measurements(dialect: Dialect) -> Insert:
    return unread(dialect.insert(measurement).inline().on_conflict_do_nothing())


class AttemptRepository:
    """Attempts and their measurements within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ending(self, trial_id: int, number: int) -> tuple[int, str | None, str | None] | None:
        """Return (worker id, state, outcome digest) of an attempt; state is None while it runs; None if unknown."""
        row = self._connection.execute(
            select(attempt.c.worker_id, attempt.c.state, attempt.c.outcome_digest).where(
                attempt.c.trial_id == trial_id, attempt.c.attempt == number
            )
        ).first()
        return None if row is None else (row.worker_id, row.state, row.outcome_digest)

    def of_trial(self, trial_id: int) -> list[Attempt]:
        """Return a trial's attempts, the first first."""
        statement = (
            select(attempt, worker.c.uid.label("worker_uid"), worker.c.name.label("worker_name"))
            .join(worker, worker.c.id == attempt.c.worker_id)
            .where(attempt.c.trial_id == trial_id)
            .order_by(attempt.c.attempt)
        )
        return [
            Attempt(
                attempt=row.attempt,
                worker_id=row.worker_uid,
                worker_name=row.worker_name,
                started_at=row.started_at,
                ended_at=row.ended_at,
                state=row.state,
                cause=row.cause,
                detail=row.detail,
                device_seconds=row.device_seconds,
            )
            for row in self._connection.execute(statement)
        ]

    def add_measurements(self, rows: Sequence[tuple[int, int, int, dict[str, float | None]]]) -> None:
        """Store (trial id, attempt, epoch, metrics); what is already there stays untouched."""
        if not rows:
            return
        statement = _add_measurements(dialect_of(self._connection))
        names = ("trial_id", "attempt", "epoch", "metrics")
        self._connection.execute(statement, one_or_many([dict(zip(names, row, strict=True)) for row in rows]))

    def stored_measurements(
        self, trial_id: int, number: int, epochs: Sequence[int]
    ) -> dict[int, dict[str, float | None]]:
        """Return the metrics already stored for some epochs of an attempt."""
        statement = select(measurement.c.epoch, measurement.c.metrics).where(
            measurement.c.trial_id == trial_id, measurement.c.attempt == number, measurement.c.epoch.in_(epochs)
        )
        return {row.epoch: row.metrics for row in self._connection.execute(statement)}

    def measurements(
        self, trial_id: int, number: int, *, limit: int, page_token: str | None
    ) -> tuple[list[tuple[int, dict[str, float | None]]], str | None]:
        """Return (epoch, metrics) of an attempt in order, and the token of the next page."""
        check_limit(limit)
        statement = select(measurement.c.epoch, measurement.c.metrics).where(
            measurement.c.trial_id == trial_id, measurement.c.attempt == number
        )
        if page_token is not None:
            values = decode_token(f"measurements:{number}", page_token, length=1)
            (epoch,) = checked([(measurement.c.epoch, False)], values)
            statement = statement.where(measurement.c.epoch > epoch)
        rows = self._connection.execute(statement.order_by(measurement.c.epoch).limit(limit + 1)).all()
        found = [(row.epoch, row.metrics) for row in rows[:limit]]
        return found, encode_token(f"measurements:{number}", [found[-1][0]]) if len(rows) > limit else None
