"""Rows of `model`: which model files are kept, for which attempt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from hpsearch.storage.records import ModelRecord, columns_of, to_record
from hpsearch.storage.tables import model, trial

_COLUMNS = columns_of(ModelRecord, model)


class ModelRepository:
    """Model files within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, record: ModelRecord, at: datetime) -> str | None:
        """Note the model file of an attempt and return the digest of the earlier one it replaces, if there was one."""
        mine = (model.c.trial_id == record.trial_id, model.c.attempt == record.attempt)
        replaced = self._connection.execute(delete(model).where(*mine).returning(model.c.digest)).scalar()
        self._connection.execute(
            insert(model).values(
                trial_id=record.trial_id,
                attempt=record.attempt,
                digest=record.digest,
                size_bytes=record.size_bytes,
                created_at=at,
            )
        )
        return replaced

    def of_attempt(self, trial_id: int, attempt: int) -> ModelRecord | None:
        """Return the model of an attempt."""
        statement = select(*_COLUMNS).where(model.c.trial_id == trial_id, model.c.attempt == attempt)
        row = self._connection.execute(statement).first()
        return None if row is None else to_record(ModelRecord, row)

    def of_study(self, study_id: int) -> list[ModelRecord]:
        """Return all models of a study's trials."""
        return [to_record(ModelRecord, row) for row in self._connection.execute(_of_study(study_id))]

    def kept_numbers(self, study_id: int) -> list[int]:
        """Return the numbers of a study's completed trials whose accepted attempt has a model, rising."""
        statement = (
            select(trial.c.number)
            .join(model, (model.c.trial_id == trial.c.id) & (model.c.attempt == trial.c.attempt))
            .where(trial.c.study_id == study_id, trial.c.state == "COMPLETE")
        )
        return list(self._connection.execute(statement.order_by(trial.c.number)).scalars())

    def stale_of_study(self, study_id: int) -> list[ModelRecord]:
        """Return those of them whose attempt was given up, as another one has begun."""
        statement = _of_study(study_id).where(model.c.attempt < trial.c.attempt)
        return [to_record(ModelRecord, row) for row in self._connection.execute(statement)]

    def remove(self, records: Sequence[ModelRecord]) -> None:
        """Forget models; their contents may be without a row then."""
        for record in records:
            self._connection.execute(
                delete(model).where(model.c.trial_id == record.trial_id, model.c.attempt == record.attempt)
            )


def _of_study(study_id: int) -> Select[Any]:
    return select(*_COLUMNS).join(trial, trial.c.id == model.c.trial_id).where(trial.c.study_id == study_id)
