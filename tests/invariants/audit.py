"""Whole tables in one consistent reading, for checking what must always hold; no request is ever served from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, select, text

from hpsearch.storage.records import StudyRecord, columns_of, to_record
from hpsearch.storage.tables import attempt, event, measurement, result, study, trial

_CHUNK: Final = 1000

# Duplicates are looked for in the rows themselves: a damaged index would not show what it failed to refuse.
_NO_INDEX: Final = (
    "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off"
)
_KEYS: Final = (
    ("trial", "uid"),
    ("trial", "study_id, number"),
    ("trial", "study_id, search_index"),
    ("trial", "study_id, grid_index"),
    ("attempt", "trial_id, attempt"),
    ("measurement", "trial_id, attempt, epoch"),
    ("result", "trial_id"),
)
_REFERENCES: Final = (
    ("trial", "study_id", "study"),
    ("attempt", "trial_id", "trial"),
    ("measurement", "trial_id", "trial"),
    ("result", "trial_id", "trial"),
    ("event", "study_id", "study"),
)


@dataclass(frozen=True)
class ResultFacts:
    """One accepted result."""

    trial_id: int
    attempt: int
    state: str
    value: float | None
    metrics: dict[str, float | None]
    outcome_digest: str


@dataclass(frozen=True)
class TrialFacts:
    """One trial as it is stored."""

    id: int
    uid: str
    study_id: int
    number: int
    kind: str
    state: str
    search_index: int | None
    grid_index: int | None
    params: dict[str, Any]
    seed: int
    parent_id: int | None
    held: bool
    attempt: int
    infra_attempts: int
    worker_id: int | None
    lease_expires_at: float | None
    last_epoch: int
    value: float | None
    tier: int
    score: float | None
    epochs: int | None
    cause: str | None
    device_seconds: float


@dataclass(frozen=True)
class AttemptFacts:
    """One attempt as it is stored."""

    trial_id: int
    attempt: int
    worker_id: int
    ended_at: datetime | None
    state: str | None
    cause: str | None
    device_seconds: float
    outcome_digest: str | None


@dataclass(frozen=True)
class Span:
    """The epochs kept of one attempt: how many, the first and the last."""

    trial_id: int
    attempt: int
    n: int
    first: int
    last: int


@dataclass(frozen=True)
class EventFacts:
    """One event of a study or of one of its trials."""

    study_id: int | None
    trial_uid: str | None
    kind: str
    data: dict[str, Any]


class Audit:
    """Readings of whole tables, all of the same instant.

    Args:
        connection: Of a transaction that has not read anything yet.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._postgres = connection.dialect.name == "postgresql"
        if self._postgres:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))

    def _stream(self, statement: Any) -> Iterator[Any]:
        yield from self._connection.execute(statement, execution_options={"yield_per": _CHUNK})

    def studies(self) -> list[StudyRecord]:
        """Return all studies, the oldest first."""
        statement = select(*columns_of(StudyRecord, study)).order_by(study.c.id)
        return [to_record(StudyRecord, row) for row in self._stream(statement)]

    def trials(self) -> Iterator[TrialFacts]:
        """Yield all trials in order of creation."""
        for row in self._stream(select(*columns_of(TrialFacts, trial)).order_by(trial.c.id)):
            yield to_record(TrialFacts, row)

    def results(self) -> Iterator[ResultFacts]:
        """Yield all results."""
        for row in self._stream(select(*columns_of(ResultFacts, result)).order_by(result.c.trial_id)):
            yield to_record(ResultFacts, row)

    def attempts(self) -> Iterator[AttemptFacts]:
        """Yield all attempts by trial, the first first."""
        statement = select(*columns_of(AttemptFacts, attempt)).order_by(attempt.c.trial_id, attempt.c.attempt)
        for row in self._stream(statement):
            yield to_record(AttemptFacts, row)

    def spans(self) -> Iterator[Span]:
        """Yield how many epochs are kept of each attempt that has any, the first and the last."""
        keys = (measurement.c.trial_id, measurement.c.attempt)
        epoch = measurement.c.epoch
        statement = select(*keys, func.count(), func.min(epoch), func.max(epoch)).group_by(*keys).order_by(*keys)
        for row in self._stream(statement):
            yield to_record(Span, row)

    def epochs(self, trial_id: int) -> dict[tuple[int, int], dict[str, float | None]]:
        """Return the metrics kept of a trial by (attempt, epoch)."""
        statement = select(measurement.c.attempt, measurement.c.epoch, measurement.c.metrics)
        rows = self._connection.execute(statement.where(measurement.c.trial_id == trial_id))
        return {(row.attempt, row.epoch): row.metrics for row in rows}

    def events(self) -> Iterator[EventFacts]:
        """Yield all events; those of one trial, and those of one study, in the order in which they happened.

        Each is written while its row is held, and takes its number then: so numbers of one row's events rise in order
        of their commits.
        """
        statement = select(event.c.study_id, event.c.trial_uid, event.c.kind, event.c.data).order_by(event.c.id)
        for row in self._stream(statement):
            yield to_record(EventFacts, row)

    def faults(self) -> list[str]:
        """Return what the database itself has to complain about: damage, duplicates of keys, missing parents."""
        found = self._postgres_faults() if self._postgres else self._sqlite_faults()
        for table, columns in _KEYS:
            whole = " AND ".join(f"{column} IS NOT NULL" for column in columns.split(", "))
            query = f"SELECT {columns} FROM {table} WHERE {whole} GROUP BY {columns} HAVING count(*) > 1"  # noqa: S608
            found += [f"{table} has several rows of ({columns}) = {tuple(row)}" for row in self._rows(query)]
        for table, column, parent in _REFERENCES:
            query = (
                f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL "  # noqa: S608
                f"AND NOT EXISTS (SELECT 1 FROM {parent} WHERE {parent}.id = {table}.{column})"
            )
            orphans = int(self._connection.execute(text(query)).scalar_one())
            found += [f"{orphans} rows of {table} have no {parent}"] if orphans else []
        return found

    def _rows(self, query: str) -> list[Any]:
        return list(self._connection.execute(text(f"{query} LIMIT 10")))

    def _sqlite_faults(self) -> list[str]:
        checked = [row[0] for row in self._connection.execute(text("PRAGMA integrity_check(10)"))]
        found = [f"integrity_check: {line}" for line in checked if line != "ok"]
        rows = self._connection.execute(text("PRAGMA foreign_key_check"))
        return found + [f"foreign_key_check: {tuple(row)}" for row in rows]

    def _postgres_faults(self) -> list[str]:
        for statement in _NO_INDEX.split("; "):
            self._connection.execute(text(statement))
        broken = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
        unproven = "SELECT conname FROM pg_constraint WHERE NOT convalidated"
        found = [f"index {row[0]} is not valid" for row in self._rows(broken)]
        return found + [f"constraint {row[0]} is not proven" for row in self._rows(unproven)]
