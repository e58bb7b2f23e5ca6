"""Rows of `result`: at most one for each trial, by primary key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, delete, insert

from hpsearch.storage.pipeline import unread
from hpsearch.storage.tables import result

_ADD: Final = unread(insert(result).inline())


class ResultRepository:
    """Accepted results within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, values: Mapping[str, Any]) -> None:
        """Insert the result of a trial; a second one for the same trial is an integrity error."""
        self._connection.execute(_ADD, dict(values))

    def remove(self, trial_id: int) -> None:
        """Take back the result of a failed trial that is to be tried again."""
        self._connection.execute(delete(result).where(result.c.trial_id == trial_id))
