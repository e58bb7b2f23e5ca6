"""Rows of `result`: at most one for each trial, by primary key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from hpsearch.domain.lifecycle import TrialState
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.tables import result, trial

_ADD: Final = unread(insert(result).inline())


class ResultRepository:
    """Accepted results within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, values: Mapping[str, Any]) -> None:
        """Insert the result of a trial; a second one for the same trial is an integrity error."""
        self._connection.execute(_ADD, dict(values))

    def remove_failed(self, study_id: int, trial_id: int | None = None) -> None:
        """Take back the results of a study's failed trials, or of one of them, that are to be tried again."""
        failed = select(trial.c.id).where(trial.c.study_id == study_id, trial.c.state == TrialState.FAILED.value)
        if trial_id is not None:
            failed = failed.where(trial.c.id == trial_id)
        self._connection.execute(delete(result).where(result.c.trial_id.in_(failed)))
