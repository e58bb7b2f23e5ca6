"""The row of a study this transaction has locked: read once, and kept as this transaction changes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, Update, bindparam, update

from hpsearch.domain.lifecycle import STUDY_MOVES, StudyEvent, study_sources
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.tables import study

_TARGETS: Final = {event: to for (_, event), to in STUDY_MOVES.items()}


@cache
def _statement(counters: tuple[str, ...], columns: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: study.c[name] + bindparam(f"add_{name}") for name in counters}
    values |= {name: bindparam(f"set_{name}", type_=study.c[name].type) for name in columns}
    values["version"] = study.c.version + 1
    return unread(update(study).where(study.c.id == bindparam("wanted")).values(values))


class StudyRow:
    """A study's columns under its lock. Nobody else can change them meanwhile, so they are never read again.

    Attributes:
        record: The row as it is now.
    """

    def __init__(self, connection: Connection, record: StudyRecord) -> None:
        self._connection = connection
        self.record = record

    def set(self, **columns: Any) -> None:
        """Set columns and raise the version, which every view of the study is tagged with."""
        self.count({}, **columns)

    def count(self, deltas: Mapping[str, float], **columns: Any) -> None:
        """Add to counters and set other columns, by one statement."""
        added = {name: delta for name, delta in deltas.items() if delta}
        parameters = {"wanted": self.record.id, **{f"add_{name}": delta for name, delta in added.items()}}
        parameters |= {f"set_{name}": value for name, value in columns.items()}
        self._connection.execute(_statement(tuple(added), tuple(columns)), parameters)
        self._keep({name: getattr(self.record, name) + delta for name, delta in added.items()} | columns)

    def move(self, event: StudyEvent, **columns: Any) -> bool:
        """Make one transition of the table if the study is in a state that allows it; return whether it was."""
        allowed = [state.value for state in study_sources(event)]
        columns["state"] = _TARGETS[event].value
        statement = (
            update(study)
            .where(study.c.id == self.record.id, study.c.state.in_(allowed))
            .values({**columns, "version": study.c.version + 1})
        )
        moved = self._connection.execute(statement).rowcount == 1
        if moved:
            self._keep(columns)
        return moved

    def _keep(self, changed: Mapping[str, Any]) -> None:
        self.record = dataclasses.replace(self.record, **changed, version=self.record.version + 1)
