"""Giving back the time in which no server was alive, or by which the clock was set."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, case, literal_column, update

from hpsearch.storage.tables import trial, worker


@dataclass(frozen=True)
class Limits:
    """The longest that anything can last which begins now, in seconds.

    Attributes:
        lease_s: A lease.
        pause_s: A trial's wait after a loss.
        quarantine_s: A worker's quarantine.
    """

    lease_s: float
    pause_s: float
    quarantine_s: float


def shift(connection: Connection, now: ColumnElement[float], seconds: float, limits: Limits) -> int:
    """Move the end of every running lease, waiting time and quarantine; return how many leases.

    What has been written since the clock was set, or since servers are back, is in the new time already. When it was
    set back it is told by that and stays; otherwise nothing is moved further than if it began now: a lease renewed a
    moment before would last as much longer as the clock has jumped.

    Args:
        connection: Of the transaction that holds the trials.
        now: The time of leases.
        seconds: How far; negative when the clock was set back.
        limits: For the second case.
    """
    moved: list[int] = []
    for column, longest_s, condition in (
        (trial.c.lease_expires_at, limits.lease_s, literal_column("trial.state = 'RUNNING'")),
        (trial.c.available_at, limits.pause_s, literal_column("trial.state = 'WAITING'")),
        (worker.c.quarantined_until, limits.quarantine_s, worker.c.quarantined_until.is_not(None)),
    ):
        statement = update(column.table).where(condition)
        if seconds < 0:
            statement = statement.where(column > now - seconds / 2).values({column: column + seconds})
        else:
            latest = now + longest_s
            later = case((column >= latest, column), (column + seconds > latest, latest), else_=column + seconds)
            statement = statement.values({column: later})
        moved.append(connection.execute(statement).rowcount)
    return moved[0]
