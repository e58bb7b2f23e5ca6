"""What charts are drawn from: a few columns of many trials, without the rest of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, literal_column, select

from hpsearch.storage.tables import attempt, measurement, trial, worker

# Spelt out, not bound: the partial index serves only a condition the planner can read.
_BOARD: Final[ColumnElement[bool]] = literal_column("trial.state = 'COMPLETE' AND trial.kind IN ('search', 'baseline')")
_RUNNING: Final[ColumnElement[bool]] = literal_column("trial.state = 'RUNNING'")
_MAX_IDS: Final = 500


class PointRow(NamedTuple):
    """One ranked result with its parameters."""

    id: int
    trial_id: str
    number: int
    kind: str
    value: float
    params: dict[str, Any]
    ended_at: datetime


class AttemptRow(NamedTuple):
    """One attempt on a worker's time line."""

    trial_id: str
    number: int
    kind: str
    attempt: int
    worker_id: str
    worker_name: str
    started_at: datetime
    ended_at: datetime | None
    state: str | None
    cause: str | None


class RunningRow(NamedTuple):
    """One trial under way with the last epoch it reported."""

    trial_id: str
    number: int
    kind: str
    attempt: int
    epoch: int
    worker_name: str | None
    metrics: dict[str, float | None]


class ChartRepository:
    """Columns for charts, read within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def finished(self, study_id: int) -> list[tuple[int, float, float]]:
        """Return (internal id, value, device-seconds) of every ranked result of a study in order of its end."""
        statement = select(trial.c.id, trial.c.value, trial.c.device_seconds).where(
            trial.c.study_id == study_id, _BOARD
        )
        rows = self._connection.execute(statement.order_by(trial.c.ended_at, trial.c.id))
        return [(row[0], row[1], row[2]) for row in rows]

    def ranked_ids(self, study_id: int) -> list[int]:
        """Return the internal ids of the ranked results, the best first."""
        statement = select(trial.c.id).where(trial.c.study_id == study_id, _BOARD)
        statement = statement.order_by(trial.c.tier, trial.c.score, trial.c.id)
        return list(self._connection.execute(statement).scalars())

    def points(self, ids: Sequence[int]) -> list[PointRow]:
        """Return results with their parameters, in the order of their internal ids as given."""
        found: dict[int, PointRow] = {}
        for start in range(0, len(ids), _MAX_IDS):
            names = ("id", "uid", "number", "kind", "value", "params", "ended_at")
            statement = select(*(trial.c[name] for name in names)).where(trial.c.id.in_(ids[start : start + _MAX_IDS]))
            found.update({row.id: PointRow(*row) for row in self._connection.execute(statement)})
        return [found[one] for one in ids if one in found]

    def attempts(self, study_id: int, *, max_trials: int) -> list[AttemptRow]:
        """Return the attempts of a study's newest trials, oldest first."""
        newest = (
            select(trial.c.id, trial.c.uid, trial.c.number, trial.c.kind)
            .where(trial.c.study_id == study_id, trial.c.attempt > 0)
            .order_by(trial.c.number.desc())
            .limit(max_trials)
            .subquery()
        )
        statement = (
            select(
                newest.c.uid, newest.c.number, newest.c.kind, attempt.c.attempt, worker.c.uid, worker.c.name,
                attempt.c.started_at, attempt.c.ended_at, attempt.c.state, attempt.c.cause,
            )
            .join(attempt, attempt.c.trial_id == newest.c.id)
            .join(worker, worker.c.id == attempt.c.worker_id)
            .order_by(attempt.c.started_at, newest.c.number)
        )  # fmt: skip
        return [AttemptRow._make(row) for row in self._connection.execute(statement)]

    def running(self, study_id: int, *, limit: int) -> list[RunningRow]:
        """Return the trials under way, the earliest first, with the metrics of their last epoch."""
        statement = (
            select(
                trial.c.uid, trial.c.number, trial.c.kind, trial.c.attempt, trial.c.last_epoch, worker.c.name,
                measurement.c.metrics,
            )
            .select_from(trial)
            .outerjoin(worker, worker.c.id == trial.c.worker_id)
            .outerjoin(
                measurement,
                (measurement.c.trial_id == trial.c.id)
                & (measurement.c.attempt == trial.c.attempt)
                & (measurement.c.epoch == trial.c.last_epoch),
            )
            .where(trial.c.study_id == study_id, _RUNNING)
            .order_by(trial.c.id)
            .limit(limit)
        )  # fmt: skip
        return [RunningRow(*row[:-1], row[-1] or {}) for row in self._connection.execute(statement)]

    def curves(self, trial_uids: Sequence[str], *, max_epochs: int) -> Mapping[str, list[tuple[int, dict[str, Any]]]]:
        """Return the epochs of the current attempts of some trials, by public id; thinned above `max_epochs` each."""
        statement = (
            select(trial.c.uid, trial.c.last_epoch, measurement.c.epoch, measurement.c.metrics)
            .join(measurement, (measurement.c.trial_id == trial.c.id) & (measurement.c.attempt == trial.c.attempt))
            .where(trial.c.uid.in_(trial_uids))
            .order_by(trial.c.uid, measurement.c.epoch)
        )
        found: dict[str, list[tuple[int, dict[str, Any]]]] = {uid: [] for uid in trial_uids}
        for row in self._connection.execute(statement):
            stride = -(-row.last_epoch // max_epochs) or 1
            if row.epoch % stride == 0 or row.epoch in (1, row.last_epoch):
                found[row.uid].append((row.epoch, row.metrics))
        return found
