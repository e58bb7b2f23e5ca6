"""Rows of `model`: which model files are kept, for which attempt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select

from hpsearch.storage.records import ModelRecord, columns_of, to_record
from hpsearch.storage.tables import model, trial

_COLUMNS = columns_of(ModelRecord, model)


class ModelRepository:
    """Model files within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, record: ModelRecord, at: datetime) -> None:
        """Note the model file of an attempt, instead of an earlier one of the same attempt."""
        self._connection.execute(
            delete(model).where(model.c.trial_id == record.trial_id, model.c.attempt == record.attempt)
        )
        self._connection.execute(
            insert(model).values(
                trial_id=record.trial_id,
                attempt=record.attempt,
                digest=record.digest,
                size_bytes=record.size_bytes,
                created_at=at,
            )
        )

    def of_attempt(self, trial_id: int, attempt: int) -> ModelRecord | None:
        """Return the model of an attempt."""
        statement = select(*_COLUMNS).where(model.c.trial_id == trial_id, model.c.attempt == attempt)
        row = self._connection.execute(statement).first()
        return None if row is None else to_record(ModelRecord, row)

    def of_study(self, study_id: int) -> list[ModelRecord]:
        """Return all models of a study's trials."""
        rows = self._connection.execute(
            select(*_COLUMNS).join(trial, trial.c.id == model.c.trial_id).where(trial.c.study_id == study_id)
        )
        return [to_record(ModelRecord, row) for row in rows]

    def remove(self, records: Sequence[ModelRecord]) -> list[str]:
        """Forget models and return the digests nothing refers to any more."""
        for record in records:
            self._connection.execute(
                delete(model).where(model.c.trial_id == record.trial_id, model.c.attempt == record.attempt)
            )
        return [digest for digest in {r.digest for r in records} if not self.n_of_digest(digest)]

    def n_of_digest(self, digest: str) -> int:
        """Return how many attempts share a model file."""
        return int(self._connection.execute(select(func.count()).where(model.c.digest == digest)).scalar_one())
