"""Rows of `event`: a log of what happened, in an order a reader can follow without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Insert, Row, and_, insert, or_, select, true

from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.dialects.base import Dialect
from hpsearch.storage.executemany import one_or_many
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.records import JsonObject
from hpsearch.storage.tables import event


@cache
def _add(dialect: Dialect) -> Insert:
    return unread(insert(event).inline().values(xact=dialect.transaction_number))


class EventRepository:
    """The event log within one transaction."""

    def __init__(self, connection: Connection, *, at: datetime) -> None:
        self._connection = connection
        self._at = at
        self._dialect = dialect_of(connection)

    def _settled(self) -> ColumnElement[bool]:
        """Return the condition that nothing can appear before an event any more."""
        oldest = self._dialect.oldest_open_transaction(self._connection)
        return true() if oldest is None else event.c.xact < oldest

    def add(
        self, kind: str, *, study_id: int | None, trial_uid: str | None = None, data: JsonObject | None = None
    ) -> None:
        """Log one event."""
        self.add_all([(kind, study_id, trial_uid, data or {})])

    def add_all(self, rows: Sequence[tuple[str, int | None, str | None, JsonObject]]) -> None:
        """Log events given as (kind, study id, trial's public id, data)."""
        if not rows:
            return
        self._connection.execute(
            _add(self._dialect),
            one_or_many(
                [
                    {"kind": kind, "study_id": study_id, "trial_uid": uid, "data": dict(data), "at": self._at}
                    for kind, study_id, uid, data in rows
                ]
            ),
        )

    def since(self, study_id: int, *, xact: int, event_id: int, limit: int) -> Sequence[Row[Any]]:
        """Return a study's settled events after a position, in order."""
        beyond = or_(event.c.xact > xact, and_(event.c.xact == xact, event.c.id > event_id))
        statement = select(event).where(event.c.study_id == study_id, beyond, self._settled())
        return self._connection.execute(statement.order_by(event.c.xact, event.c.id).limit(limit)).all()

    def latest(self, study_id: int) -> tuple[int, int]:
        """Return the position of a study's newest settled event; (0, 0) when there is none."""
        statement = select(event.c.xact, event.c.id).where(event.c.study_id == study_id, self._settled())
        row = self._connection.execute(statement.order_by(event.c.xact.desc(), event.c.id.desc()).limit(1)).first()
        return (0, 0) if row is None else (row.xact, row.id)
