"""Rows of `study`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Select, Update, bindparam, delete, func, insert, select, update

from hpsearch.domain.lifecycle import StudyEvent, StudyState, study_sources
from hpsearch.errors import NotFoundError
from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.paging import after, check_limit, decode_token, encode_token, ordered
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.records import StudyHeading, StudyRecord, columns_of, to_record
from hpsearch.storage.tables import dataset, event, idempotency, study, trial

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


@cache
def _add_statement(counters: tuple[str, ...], columns: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: study.c[name] + bindparam(f"add_{name}") for name in counters}
    values |= {name: bindparam(f"set_{name}", type_=study.c[name].type) for name in columns}
    values["version"] = study.c.version + 1
    return unread(update(study).where(study.c.id == bindparam("wanted")).values(values))


class StudyRepository:
    """Studies, read and changed within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # A row this transaction has locked changes by its own hand only.
        self._locked: dict[int, StudyRecord] = {}

    def add(self, values: Mapping[str, Any]) -> int:
        """Insert a study with counters at zero and return its internal id."""
        zeros = {
            column.name: 0
            for column in study.c
            if column.name.startswith("n_") or column.name in ("grid_cursor", "device_seconds", "version", "priority")
        }
        row = {**zeros, "notes": "", "labels": {}, **values}
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

    def lock(self, study_id: int) -> StudyRecord:
        """Hold the study's row until the transaction ends and return it as it is now.

        Raises:
            NotFoundError: It was deleted meanwhile.
        """
        return self._locked.get(study_id) or self._keep(_LOCK, study_id)

    def lock_uid(self, uid: str) -> StudyRecord:
        """Like `lock`, by public id."""
        return self._keep(_LOCK_UID, uid)

    def lock_of_trials(self, uids: Sequence[str]) -> None:
        """Hold the studies of trials, in order of their ids; unknown trials have none."""
        for row in self._connection.execute(_LOCK_OF_TRIALS, {"uids": list(uids)}):
            self._locked[row.id] = to_record(StudyRecord, row)

    def _keep(self, statement: Select[Any], wanted: int | str) -> StudyRecord:
        row = self._connection.execute(statement, {"wanted": wanted}).first()
        if row is None:
            raise _missing(str(wanted))
        record = to_record(StudyRecord, row)
        self._locked[record.id] = record
        return record

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

    def change(self, study_id: int, values: Mapping[str, Any]) -> None:
        """Set columns and raise the version, which every view of the study is tagged with."""
        self._locked.pop(study_id, None)
        self._connection.execute(
            update(study).where(study.c.id == study_id).values({**values, "version": study.c.version + 1})
        )

    def move(self, study_id: int, event: StudyEvent, to: StudyState, values: Mapping[str, Any]) -> bool:
        """Make one transition of the table if the study is in a state that allows it; return whether it was."""
        self._locked.pop(study_id, None)
        allowed = [state.value for state in study_sources(event)]
        statement = (
            update(study)
            .where(study.c.id == study_id, study.c.state.in_(allowed))
            .values({**values, "state": to.value, "version": study.c.version + 1})
        )
        return self._connection.execute(statement).rowcount == 1

    def add_to_counters(
        self, study_id: int, deltas: Mapping[str, float], values: Mapping[str, Any] | None = None
    ) -> StudyRecord:
        """Add to counter columns, set others, and return the study; the caller holds its lock."""
        before = self.lock(study_id)
        added = {name: delta for name, delta in deltas.items() if delta}
        values = values or {}
        parameters = {"wanted": study_id, **{f"add_{name}": delta for name, delta in added.items()}}
        parameters |= {f"set_{name}": value for name, value in values.items()}
        self._connection.execute(_add_statement(tuple(added), tuple(values)), parameters)
        sums = {name: getattr(before, name) + delta for name, delta in added.items()}
        self._locked[study_id] = dataclasses.replace(before, **sums, **values, version=before.version + 1)
        return self._locked[study_id]

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

    def unfinished_like(self, fingerprint: str) -> StudyRecord | None:
        """Return the newest study that has not ended and has this definition."""
        statement = select(*_COLUMNS).where(study.c.fingerprint == fingerprint, study.c.ended_at.is_(None))
        row = self._connection.execute(statement.order_by(study.c.id.desc()).limit(1)).first()
        return None if row is None else to_record(StudyRecord, row)

    def delete(self, study_id: int) -> None:
        """Delete a study with its trials, results, measurements and events."""
        self._locked.pop(study_id, None)
        mine = select(trial.c.id).where(trial.c.study_id == study_id)
        # In order of ids, as a late report takes them.
        self._connection.execute(mine.order_by(trial.c.id).with_for_update()).all()
        self._connection.execute(delete(event).where(event.c.study_id == study_id))
        self._connection.execute(delete(trial).where(trial.c.study_id == study_id))
        self._connection.execute(delete(study).where(study.c.id == study_id))

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
