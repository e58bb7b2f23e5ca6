"""Rows of `event`: what happened, in an order a reader can follow without gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Text,
    and_,
    cast,
    func,
    insert,
    or_,
    select,
    text,
    true,
)

from hpsearch.storage.executemany import one_or_many
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.tables import event

_ADD: Final = unread(insert(event).inline())
_ADD_POSTGRES: Final = _ADD.values(xact=cast(cast(func.pg_current_xact_id(), Text), BigInteger))
# The oldest transaction that is still open in this database, or the next one if there is none. The snapshot's own xmin
# would do too, but counts the transactions of all databases of the server: a long one elsewhere would hold all events
# back. `backend_xid` has 32 bits and is lifted to 64 by its distance to the next transaction.
_HORIZON: Final = text("""
    SELECT coalesce(min(ceiling - ((ceiling - backend_xid::text::bigint) & 4294967295)), min(ceiling))
    FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS ceiling) AS top
    LEFT JOIN pg_stat_activity ON datname = current_database() AND backend_xid IS NOT NULL
""")


class EventRepository:
    """The event log within one transaction."""

    def __init__(self, connection: Connection, *, at: datetime) -> None:
        self._connection = connection
        self._at = at
        self._postgres = connection.dialect.name == "postgresql"

    def _settled(self) -> ColumnElement[bool]:
        """Return the condition that nothing can appear before an event any more."""
        if not self._postgres:
            return true()
        # A statement of its own: what ended before it is visible to the next one, what was open bounds it from above.
        return event.c.xact < int(self._connection.execute(_HORIZON).scalar_one())

    def add(
        self, kind: str, *, study_id: int | None, trial_uid: str | None = None, data: Mapping[str, Any] | None = None
    ) -> None:
        """Log one event."""
        self.add_all([(kind, study_id, trial_uid, data or {})])

    def add_all(self, rows: Sequence[tuple[str, int | None, str | None, Mapping[str, Any]]]) -> None:
        """Log events given as (kind, study id, trial's public id, data)."""
        if not rows:
            return
        fixed: dict[str, Any] = {"at": self._at} if self._postgres else {"at": self._at, "xact": 0}
        self._connection.execute(
            _ADD_POSTGRES if self._postgres else _ADD,
            one_or_many(
                [
                    {"kind": kind, "study_id": study_id, "trial_uid": uid, "data": dict(data), **fixed}
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
