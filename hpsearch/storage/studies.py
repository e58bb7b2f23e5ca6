"""Rows of `study`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, func, insert, select

from hpsearch.domain.lifecycle import StudyState
from hpsearch.errors import NotFoundError
from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.paging import after, check_limit, decode_token, encode_token, ordered
from hpsearch.storage.records import NewStudyRow, StudyHeading, StudyRecord, columns_of, to_record
from hpsearch.storage.study_lock import LockedStudy
from hpsearch.storage.tables import dataset, idempotency, study, trial

_COLUMNS = columns_of(StudyRecord, study)


def _missing(uid: str) -> NotFoundError:
    return NotFoundError(f"there is no study {uid!r}", code="study.not_found")


_BY_IDS: Final = select(*_COLUMNS).where(study.c.id.in_(bindparam("wanted", expanding=True)))
_HEADINGS: Final = select(*columns_of(StudyHeading, study)).where(study.c.id.in_(bindparam("wanted", expanding=True)))
_LOCK: Final = select(*_COLUMNS).where(study.c.id == bindparam("wanted")).with_for_update(key_share=True)
_LOCK_OF_TRIALS: Final = (
    select(*_COLUMNS)
    .where(study.c.id.in_(select(trial.c.study_id).where(trial.c.uid.in_(bindparam("uids", expanding=True)))))
    .order_by(study.c.id)
    .with_for_update(key_share=True)
)
_LOCK_UID: Final = select(*_COLUMNS).where(study.c.uid == bindparam("wanted")).with_for_update(key_share=True)


class StudyRepository:
    """Studies, read and changed within one transaction."""

    def __init__(self, connection: Connection, *, at: datetime, lease_clock: LeaseClock) -> None:
        self._connection = connection
        self._at = at
        self._lease_clock = lease_clock
        # Locked once: until the transaction ends nobody else can change them.
        self._locked: dict[int, LockedStudy] = {}

    def add(self, new: NewStudyRow) -> int:
        """Insert a running study with counters at zero and return its internal id."""
        zeros = {
            column.name: 0
            for column in study.c
            if column.name.startswith("n_") or column.name in ("grid_cursor", "device_seconds", "version", "priority")
        }
        begun = {"state": StudyState.RUNNING.value, "phase": "search", "created_at": self._at}
        row = {**zeros, "notes": "", "labels": {}, **begun, **vars(new)}
        return int(self._connection.execute(insert(study).values(row).returning(study.c.id)).scalar_one())

    def get(self, uid: str) -> StudyRecord:
        """Return one study.

        Raises:
            NotFoundError: There is none of that id.
        """
        row = self._connection.execute(select(*_COLUMNS).where(study.c.uid == uid)).first()
        if row is None:
            raise _missing(uid)
        return to_record(StudyRecord, row)

    def by_ids(self, ids: Sequence[int]) -> dict[int, StudyRecord]:
        """Return studies by their internal ids."""
        rows = self._connection.execute(_BY_IDS, {"wanted": list(ids)})
        return {row.id: to_record(StudyRecord, row) for row in rows}

    def headings(self, ids: Sequence[int]) -> dict[int, StudyHeading]:
        """Return the little that a claim tells of studies, by their internal ids."""
        rows = self._connection.execute(_HEADINGS, {"wanted": list(ids)})
        return {row.id: to_record(StudyHeading, row) for row in rows}

    def lock(self, study_id: int) -> LockedStudy:
        """Hold the study's row until the transaction ends.

        Raises:
            NotFoundError: It was deleted meanwhile.
        """
        return self._locked.get(study_id) or self._keep(_LOCK, study_id)

    def lock_uid(self, uid: str) -> LockedStudy:
        """Like `lock`, by public id."""
        return self._keep(_LOCK_UID, uid)

    def lock_of_trials(self, uids: Sequence[str]) -> None:
        """Hold the studies of trials, in order of their ids; unknown trials have none."""
        for row in self._connection.execute(_LOCK_OF_TRIALS, {"uids": list(uids)}):
            self._hold(to_record(StudyRecord, row))

    def _hold(self, record: StudyRecord) -> LockedStudy:
        fresh = LockedStudy(self._connection, record, at=self._at, lease_clock=self._lease_clock)
        return self._locked.setdefault(record.id, fresh)

    def _keep(self, statement: Select[Any], wanted: int | str) -> LockedStudy:
        row = self._connection.execute(statement, {"wanted": wanted}).first()
        if row is None:
            raise _missing(str(wanted))
        return self._hold(to_record(StudyRecord, row))

    def open_ids(self) -> list[int]:
        """Return the ids of the studies that have not ended, oldest first."""
        return list(
            self._connection.execute(
                select(study.c.id).where(study.c.ended_at.is_(None)).order_by(study.c.id)
            ).scalars()
        )

    def ids_ended_since(self, at: datetime) -> list[int]:
        """Return the ids of the studies that ended at an instant or later, oldest first."""
        return list(
            self._connection.execute(select(study.c.id).where(study.c.ended_at >= at).order_by(study.c.id)).scalars()
        )

    def n_open_of(self, token_uid: str, *, at_most: int) -> int:
        """Return how many studies created with a token have not ended, counted up to a limit."""
        mine = select(study.c.id).where(study.c.ended_at.is_(None), study.c.token_uid == token_uid)
        counted = select(func.count()).select_from(mine.limit(at_most).subquery())
        return int(self._connection.execute(counted).scalar_one())

    def fillable_ids(self) -> list[int]:
        """Return the ids of the studies that may want more search trials now, oldest first.

        Of thousands of open studies most wait, are paused, or have all their trials already: none of them costs a look.
        """
        statement = select(study.c.id).where(
            study.c.ended_at.is_(None),
            study.c.state == StudyState.RUNNING.value,
            study.c.end_reason.is_(None),
            study.c.n_search < study.c.max_trials + study.c.n_search_cancelled,
        )
        return list(self._connection.execute(statement.order_by(study.c.id)).scalars())

    def page(
        self,
        *,
        limit: int,
        page_token: str | None,
        state: str | None,
        name: str | None,
        label: tuple[str, str | None] | None = None,
    ) -> tuple[list[StudyRecord], str | None]:
        """Return studies, newest first, and the token of the next page."""
        check_limit(limit)
        order = [(study.c.id, True)]
        statement = select(*_COLUMNS)
        if state is not None:
            statement = statement.where(study.c.state == state)
        if name is not None:
            statement = statement.where(study.c.name == name)
        if label is not None:
            statement = statement.where(dialect_of(self._connection).has_entry(study.c.labels, *label))
        if page_token is not None:
            statement = statement.where(after(order, decode_token("studies", page_token, length=1)))
        rows = self._connection.execute(ordered(statement, order).limit(limit + 1)).all()
        records = [to_record(StudyRecord, row) for row in rows[:limit]]
        return records, encode_token("studies", [records[-1].id]) if len(rows) > limit else None

    def troubled_by(self, digest: str) -> list[int]:
        """Return the ids of open studies in trouble whose data set has this content, in order."""
        statement = (
            select(study.c.id)
            .join(dataset, dataset.c.id == study.c.dataset_id)
            .where(dataset.c.digest == digest, study.c.ended_at.is_(None), study.c.trouble.is_not(None))
            .order_by(study.c.id)
        )
        return list(self._connection.execute(statement).scalars())

    def n_of_dataset(self, dataset_uid: str) -> int:
        """Return how many studies use a data set."""
        statement = select(func.count()).select_from(study.join(dataset)).where(dataset.c.uid == dataset_uid)
        return int(self._connection.execute(statement).scalar_one())

    def remember_request(self, *, token_uid: str, key: str, fingerprint: str, object_uid: str, at: datetime) -> bool:
        """Keep what a creation with an Idempotency-Key makes; return False when the key is taken.

        Waits for another creation with the same key that has not been committed yet.
        """
        values = {
            "token_uid": token_uid, "key": key, "fingerprint": fingerprint, "object_uid": object_uid, "created_at": at,
        }  # fmt: skip
        statement = (
            dialect_of(self._connection)
            .insert(idempotency)
            .values(values)
            .on_conflict_do_nothing()
            .returning(idempotency.c.key)
        )
        return self._connection.execute(statement).first() is not None

    def remembered_request(self, *, token_uid: str, key: str) -> tuple[str, str] | None:
        """Return the fingerprint and the object of an earlier creation with this key, or None."""
        row = self._connection.execute(
            select(idempotency.c.fingerprint, idempotency.c.object_uid).where(
                idempotency.c.token_uid == token_uid, idempotency.c.key == key
            )
        ).first()
        return None if row is None else (row.fingerprint, row.object_uid)
