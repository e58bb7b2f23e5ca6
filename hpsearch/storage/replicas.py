"""Rows of `replica`: heartbeats of the server processes, by which an outage is measured."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.tables import replica

# Key of the advisory lock. Any number will do, as long as nothing else locks it: "hpse" in ASCII.
_ONE_AT_A_TIME: Final = 1_752_200_037


class ReplicaRepository:
    """Server processes within one transaction."""

    def __init__(self, connection: Connection, *, at: datetime, lease_now: ColumnElement[float]) -> None:
        self._connection = connection
        self._at = at
        self._now = lease_now
        self._dialect = dialect_of(connection)

    def take_turn(self) -> None:
        """Let no other replica measure silence before this transaction ends: two would make up for the same outage."""
        self._dialect.advisory_lock(self._connection, _ONE_AT_A_TIME)

    def silence_s(self) -> float | None:
        """Return the seconds since the last heartbeat of any replica; None when there never was one."""
        return self._connection.execute(select(self._now - func.max(replica.c.alive_at))).scalar_one()

    def beat(self, uid: str) -> None:
        """Note that a replica is alive now."""
        changed = self._connection.execute(update(replica).where(replica.c.uid == uid).values(alive_at=self._now))
        if changed.rowcount == 0:
            self._connection.execute(
                self._dialect.insert(replica)
                .values(uid=uid, alive_at=self._now, started_at=self._at)
                .on_conflict_do_nothing()
            )

    def shift(self, seconds: float) -> None:
        """Move every heartbeat by some seconds, as the leases were."""
        self._connection.execute(update(replica).values(alive_at=replica.c.alive_at + seconds))

    def forget_older(self, seconds: float) -> None:
        """Delete the rows of replicas silent for longer, but keep the latest heartbeat."""
        newest = select(func.max(replica.c.alive_at)).scalar_subquery()
        self._connection.execute(
            delete(replica).where(replica.c.alive_at < self._now - seconds, replica.c.alive_at < newest)
        )
