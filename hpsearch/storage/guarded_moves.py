"""The guard of every change of a trial's state, made of the transition table and checked by the UPDATE itself."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Update, bindparam, literal_column, select, update

from hpsearch.domain.lifecycle import MOVES, TrialEvent, TrialState, sources
from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.records import QueuedTrial
from hpsearch.storage.tables import trial


def state_in(event: TrialEvent) -> ColumnElement[bool]:
    """Return the condition that the event may happen to a trial."""
    # Spelt out, not bound: a partial index serves only a condition the planner can read.
    states = ", ".join(f"'{state.value}'" for state in sources(event))
    return literal_column(f"trial.state IN ({states})")


def target(event: TrialEvent) -> TrialState:
    """Return the state a trial is in after the event."""
    (to,) = {to for (_, cause), to in MOVES.items() if cause == event}
    return to


@cache
def _statement(event: TrialEvent) -> Update:
    # Built once: building a statement of a hot path costs more than running it.
    guard = (trial.c.id == bindparam("moved_id"), trial.c.attempt == bindparam("moved_attempt"), state_in(event))
    return update(trial).where(*guard).values(state=target(event).value)


def move(connection: Connection, moved: QueuedTrial, event: TrialEvent, **columns: Any) -> bool:
    """Make one transition if the trial is in a state that allows it, under this attempt; return whether it was."""
    parameters: dict[str, Any] = {"moved_id": moved.id, "moved_attempt": moved.attempt}
    statement = _statement(event)
    if any(isinstance(value, ColumnElement) for value in columns.values()):
        statement = statement.values(columns)
    else:
        parameters |= columns
    return connection.execute(statement, parameters).rowcount == 1


def lock_in_order(connection: Connection, condition: ColumnElement[bool]) -> None:
    """Lock trials in order of their ids, before a statement that would take them in any order."""
    if not dialect_of(connection).has_one_writer:
        statement = select(trial.c.id).where(condition).order_by(trial.c.id)
        connection.execute(statement.with_for_update(key_share=True)).all()
