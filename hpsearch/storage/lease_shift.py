"""Moving leases, waits and quarantines after an outage of all servers, or after the database's clock was set."""

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

    Rows written since the clock was set, or since servers are back, have the new time already and must not be moved
    again. After a step back, they are those that end within half the step from now, and they stay. After a step forward
    or an outage they look like the others: so nothing is moved to later than it would end if it began now. Without that
    bound, a lease renewed a moment ago would last longer by the whole step.

    Args:
        connection: Of the transaction that holds the trials.
        now: The time of leases.
        seconds: How far; negative when the clock was set back.
        limits: The bound for a step forward or an outage.
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
