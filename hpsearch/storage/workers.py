"""Rows of `worker`: the fleet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from hpsearch.errors import NotFoundError
from hpsearch.storage.paging import after, check_limit, decode_token, encode_token, ordered
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.records import JsonObject, WorkerRecord, columns_of, to_record
from hpsearch.storage.tables import attempt, trial, worker

_COLUMNS = columns_of(WorkerRecord, worker)
_GET: Final = select(*_COLUMNS).where(worker.c.uid == bindparam("wanted"))
_LOCK: Final = _GET.with_for_update(key_share=True)
_SUCCESS: Final = unread(
    update(worker)
    .where(worker.c.id == bindparam("by_worker"))
    .values(
        n_finished=worker.c.n_finished + 1,
        n_failures_in_row=0,
        n_quarantines=0,
        succeeded_at=bindparam("now", type_=worker.c.succeeded_at.type),
    )
)
_N_RUNNING: Final = (
    select(func.count())
    .select_from(trial)
    .where(trial.c.worker_id == bindparam("by_worker"), literal_column("trial.state = 'RUNNING'"))
)
# `last_seen_at` is for people: writing it with every beat would double the writes of a beat.
_SEEN_EVERY = timedelta(seconds=2)
# How long a success tells that the work at hand can be done.
LATELY = timedelta(minutes=10)


def is_news(record: WorkerRecord, progress: JsonObject | None) -> bool:
    """Return whether a worker says what is to be known at once: other slots, or that it begins or ends to prepare."""
    if progress is None:
        return False
    stages = {progress.get("stage"), (record.progress or {}).get("stage")}
    return has_other_slots(record, progress) or (len(stages) > 1 and not stages <= {None, "training"})


def has_other_slots(record: WorkerRecord, progress: JsonObject | None) -> bool:
    """Return whether a worker says another number of slots than is known."""
    return progress is not None and progress.get("n_slots") != (record.progress or {}).get("n_slots")


class WorkerRepository:
    """Workers within one transaction."""

    def __init__(self, connection: Connection, *, at: datetime, lease_now: ColumnElement[float]) -> None:
        self._connection = connection
        self._at = at
        self._now = lease_now
        self._losers: set[int] = set()

    def add(self, *, uid: str, token_uid: str, name: str, version: str | None, devices: Sequence[JsonObject]) -> None:
        """Insert a worker; one of the same token and name that is in quarantine leaves it the rest of that."""
        given = {"uid": uid, "token_uid": token_uid, "name": name, "version": version, "devices": list(devices)}
        zeros: dict[str, Any] = {"state": "ACTIVE", "n_quarantines": 0, "n_failures_in_row": 0, "n_finished": 0}
        inherited = (
            select(worker.c.quarantined_until, worker.c.quarantine_reason, worker.c.n_quarantines)
            .where(
                worker.c.token_uid == token_uid,
                worker.c.name == name,
                worker.c.quarantined_until > self._now,
            )
            .order_by(worker.c.quarantined_until.desc())
            .limit(1)
        )
        if (row := self._connection.execute(inherited).first()) is not None:
            zeros |= dict(zip(row._fields, row, strict=True))
        self._connection.execute(
            insert(worker).values({**zeros, "registered_at": self._at, "last_seen_at": self._at, **given})
        )

    def get(self, uid: str, *, lock: bool = False) -> WorkerRecord:
        """Return one worker, held until the transaction ends if so wanted.

        Raises:
            NotFoundError: There is none of that id.
        """
        row = self._connection.execute(_LOCK if lock else _GET, {"wanted": uid}).first()
        if row is None:
            msg = f"there is no worker {uid!r}; register again"
            raise NotFoundError(msg, code="worker.not_found")
        return to_record(WorkerRecord, row)

    def quarantined(self, record: WorkerRecord) -> bool:
        """Return whether the worker is in quarantine now."""
        if record.quarantined_until is None:
            return False
        inside = select(worker.c.id).where(worker.c.id == record.id, worker.c.quarantined_until > self._now)
        return self._connection.execute(inside).first() is not None

    def quarantine(self, worker_id: int, seconds: float, *, why: str, n_before: int | None = None) -> None:
        """Give the worker no trials for some seconds.

        Args:
            worker_id: Internal id.
            seconds: From now.
            why: For people.
            n_before: Quarantines before this one, those of earlier registrations included; None for its own.
        """
        self._set(
            worker_id,
            quarantined_until=self._now + seconds,
            quarantine_reason=why,
            n_quarantines=(worker.c.n_quarantines if n_before is None else n_before) + 1,
            n_failures_in_row=0,
        )

    def set_state(self, worker_id: int, state: str) -> None:
        """Set whether the worker is given trials: ACTIVE, DRAINING or DISABLED."""
        self._set(worker_id, state=state)

    def _set(self, worker_id: int, **columns: Any) -> None:
        self._connection.execute(unread(update(worker).where(worker.c.id == worker_id)).values(**columns))

    def is_silent(self, record: WorkerRecord) -> bool:
        """Return whether the worker's next sign of life is to be noted."""
        return not timedelta(0) <= self._at - record.last_seen_at < _SEEN_EVERY

    def seen(self, record: WorkerRecord, progress: JsonObject | None = None) -> bool:
        """Note that the worker was heard of, and what it said it was doing if it did, at most every two seconds.

        Returns:
            Whether it says something that is noted at once, see `is_news`.
        """
        is_new = is_news(record, progress)
        if is_new or self.is_silent(record):
            told = {} if progress is None else {"progress": dict(progress)}
            self._set(record.id, last_seen_at=self._at, **told)
        return is_new

    def slots(self, since: datetime) -> list[int | None]:
        """Return the slots of each active worker that was heard of since an instant; None where it did not say."""
        statement = select(worker.c.progress).where(worker.c.last_seen_at >= since, worker.c.state == "ACTIVE")
        told = self._connection.execute(statement).scalars()
        return [None if progress is None else progress.get("n_slots") for progress in told]

    def count_success(self, worker_id: int) -> None:
        """Note an accepted result."""
        self._connection.execute(_SUCCESS, {"by_worker": worker_id, "now": self._at})

    def n_running(self, worker_id: int) -> int:
        """Return how many trials the worker holds."""
        return int(self._connection.execute(_N_RUNNING, {"by_worker": worker_id}).scalar_one())

    def count_failure(self, worker_id: int) -> int:
        """Note a failure and return how many there were in a row."""
        statement = (
            update(worker).where(worker.c.id == worker_id).values(n_failures_in_row=worker.c.n_failures_in_row + 1)
        )
        return int(self._connection.execute(statement.returning(worker.c.n_failures_in_row)).scalar_one())

    def is_first_loss(self, worker_id: int) -> bool:
        """Return whether the worker has lost no other trial in this transaction, and remember that it has now."""
        is_first = worker_id not in self._losers
        self._losers.add(worker_id)
        return is_first

    def others_succeed(self, worker_id: int, *, since: datetime | None = None) -> bool:
        """Return whether another worker succeeds at present: then the trouble is this worker's own.

        It succeeds if its last report was a success that is at most ten minutes old and not older than this worker's
        registration: older ones, perhaps of this machine's worker before a restart, say nothing of the present work.

        Args:
            worker_id: Internal id.
            since: When it came, if not with its present registration.
        """
        arrival: Any = select(worker.c.registered_at).where(worker.c.id == worker_id).scalar_subquery()
        if since is not None:
            arrival = bindparam("since", since, type_=worker.c.registered_at.type)
        statement = select(worker.c.id).where(
            worker.c.id != worker_id,
            worker.c.n_failures_in_row == 0,
            worker.c.succeeded_at >= self._at - LATELY,
            worker.c.succeeded_at >= arrival,
        )
        return self._connection.execute(statement.limit(1)).first() is not None

    def n_quarantines(self, worker_id: int) -> int:
        """Return how often the worker was quarantined since its last success."""
        return int(
            self._connection.execute(select(worker.c.n_quarantines).where(worker.c.id == worker_id)).scalar_one()
        )

    def n_present(self, token_uid: str, *, heard_since: datetime, at_most: int) -> int:
        """Return how many workers of a token were heard of since an instant, counted up to a limit."""
        mine = select(worker.c.id).where(worker.c.token_uid == token_uid, worker.c.last_seen_at >= heard_since)
        counted = select(func.count()).select_from(mine.limit(at_most).subquery())
        return int(self._connection.execute(counted).scalar_one())

    def pardon(self, record: WorkerRecord) -> None:
        """End the quarantine of all registrations of a worker's token and name: the next one would inherit it."""
        mine = and_(worker.c.token_uid == record.token_uid, worker.c.name == record.name)
        ids = select(worker.c.id).where(mine).order_by(worker.c.id).with_for_update(key_share=True)
        found = self._connection.execute(ids).scalars().all()
        clean = {"quarantined_until": None, "quarantine_reason": None, "n_failures_in_row": 0, "n_quarantines": 0}
        self._connection.execute(update(worker).where(worker.c.id.in_(found)).values(**clean))

    def forget(self, heard_before: datetime) -> int:
        """Delete workers that were not heard of since an instant and that no trial refers to; return how many."""
        used = select(attempt.c.worker_id).where(attempt.c.worker_id == worker.c.id)
        statement = delete(worker).where(worker.c.last_seen_at < heard_before, ~exists(used))
        return self._connection.execute(statement).rowcount

    def page(
        self, *, limit: int, page_token: str | None, heard_since: datetime | None = None
    ) -> tuple[list[tuple[WorkerRecord, bool, int]], str | None]:
        """Return (worker, is quarantined, number of running trials), newest first, and the token of the next page.

        Args:
            limit: Workers at most, 1 to 1,000.
            page_token: From the page before.
            heard_since: Only workers that were heard of since this instant.
        """
        check_limit(limit)
        order = [(worker.c.id, True)]
        running = (
            select(func.count())
            .where(trial.c.worker_id == worker.c.id, literal_column("trial.state = 'RUNNING'"))
            .scalar_subquery()
        )
        locked = func.coalesce(worker.c.quarantined_until, 0.0) > self._now
        statement = select(*_COLUMNS, locked.label("locked"), running.label("running"))
        if heard_since is not None:
            statement = statement.where(worker.c.last_seen_at >= heard_since)
        if page_token is not None:
            statement = statement.where(after(order, decode_token("workers", page_token, length=1)))
        rows = self._connection.execute(ordered(statement, order).limit(limit + 1)).all()
        found = [(to_record(WorkerRecord, row[:-2]), bool(row.locked), int(row.running)) for row in rows[:limit]]  # type: ignore[arg-type]
        return found, encode_token("workers", [found[-1][0].id]) if len(rows) > limit else None

    def uids(self, ids: list[int]) -> dict[int, str]:
        """Return public ids by internal ids."""
        rows = self._connection.execute(select(worker.c.id, worker.c.uid).where(worker.c.id.in_(ids)))
        return {row.id: row.uid for row in rows}

    def any_useful(self, since: datetime) -> bool:
        """Return whether some active worker was heard of since an instant."""
        statement = select(worker.c.id).where(
            worker.c.last_seen_at >= since, or_(worker.c.state == "ACTIVE", worker.c.state == "DRAINING")
        )
        return self._connection.execute(statement.limit(1)).first() is not None
