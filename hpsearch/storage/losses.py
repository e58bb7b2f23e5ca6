"""Who lost what: whether a trial that is lost again and again is to blame, or the worker it is lost with.

A worker that is started again registers anew. What it lost before is known by its token and its name, which is its
host's unless somebody chose another. Names that never brought a trial to an end count as one for each token: a name is
quickly made up.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, exists, func, or_, select

from hpsearch.storage.tables import attempt, worker


class Standing(NamedTuple):
    """What the earlier registrations of a worker, gone by now, leave it.

    Attributes:
        n_failures: Failures since any of them brought a trial to an end.
        n_quarantines: How often one of them was in quarantine since then.
        since: When the first of those that failed registered; None where none did.
    """

    n_failures: int
    n_quarantines: int
    since: datetime | None


class LossRepository:
    """Lost attempts and those who lost them, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def is_trial_to_blame(self, trial_id: int, number: int, worker_id: int, *, others_succeed: bool) -> bool:
        """Return whether a trial is the reason for which its attempts are lost, the present one included.

        It is when two different workers lost it, when the one that loses it brings other trials to an end, or when that
        one is the only worker there is and has lost nothing else meanwhile.

        Args:
            trial_id: Internal id.
            number: Of the attempt that is being lost, by the worker.
            worker_id: Internal id.
            others_succeed: Whether other workers bring trials to an end at present.
        """
        losses = self._connection.execute(
            select(worker.c.token_uid, worker.c.name, attempt.c.ended_at)
            .join(worker, worker.c.id == attempt.c.worker_id)
            .where(attempt.c.trial_id == trial_id, or_(attempt.c.state == "LOST", attempt.c.attempt == number))
        ).all()
        succeeded = {origin: self._succeeded_at(*origin) for origin in {(row.token_uid, row.name) for row in losses}}
        if len({(token, name if last is not None else "") for (token, name), last in succeeded.items()}) > 1:
            return True
        first = min((row.ended_at for row in losses if row.ended_at is not None), default=None)
        if first is None:
            return True
        row = self._connection.execute(select(worker.c.token_uid, worker.c.name).where(worker.c.id == worker_id)).one()
        last = succeeded.get((row.token_uid, row.name))
        if last is not None and last >= first:
            return True
        return not others_succeed and not self._lost_another(
            row.token_uid, None if last is None else row.name, trial_id, since=first
        )

    def others_succeed(self, worker_id: int, *, since: datetime) -> bool:
        """Return whether a worker of another token or name brought a trial to an end since an instant, its last one."""
        row = self._connection.execute(select(worker.c.token_uid, worker.c.name).where(worker.c.id == worker_id)).one()
        found = select(worker.c.id).where(
            or_(worker.c.token_uid != row.token_uid, worker.c.name != row.name),
            worker.c.n_failures_in_row == 0,
            worker.c.succeeded_at >= since,
        )
        return self._connection.execute(found.limit(1)).first() is not None

    def standing(self, worker_id: int, *, silent_since: datetime) -> Standing:
        """Return what the earlier registrations of a worker leave it.

        Args:
            worker_id: Internal id.
            silent_since: Registrations not heard of since then are gone.
        """
        row = self._connection.execute(select(worker.c.token_uid, worker.c.name).where(worker.c.id == worker_id)).one()
        last = self._succeeded_at(row.token_uid, row.name)
        gone = and_(
            worker.c.token_uid == row.token_uid,
            worker.c.name == row.name,
            worker.c.id != worker_id,
            worker.c.last_seen_at < silent_since,
        )
        if last is not None:
            gone = and_(gone, worker.c.last_seen_at >= last)
        failed = and_(gone, or_(worker.c.n_failures_in_row > 0, worker.c.n_quarantines > 0))
        found = select(
            func.sum(worker.c.n_failures_in_row), func.max(worker.c.n_quarantines), func.min(worker.c.registered_at)
        ).where(failed)
        n_failures, n_quarantines, since = self._connection.execute(found).one()
        return Standing(int(n_failures or 0), int(n_quarantines or 0), since)

    def _succeeded_at(self, token_uid: str, name: str) -> datetime | None:
        statement = select(func.max(worker.c.succeeded_at)).where(
            worker.c.token_uid == token_uid, worker.c.name == name
        )
        last: datetime | None = self._connection.execute(statement).scalar()
        return last

    def _lost_another(self, token_uid: str, name: str | None, trial_id: int, *, since: datetime) -> bool:
        """Return whether a worker, or any of its token, lost another trial since an instant."""
        mine = worker.c.token_uid == token_uid
        found = (
            select(attempt.c.trial_id)
            .join(worker, worker.c.id == attempt.c.worker_id)
            .where(
                mine if name is None else and_(mine, worker.c.name == name),
                attempt.c.state == "LOST",
                attempt.c.trial_id != trial_id,
                attempt.c.ended_at >= since,
            )
        )
        return bool(self._connection.execute(select(exists(found))).scalar())
