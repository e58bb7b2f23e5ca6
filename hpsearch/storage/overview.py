"""What lists of studies show, read for a whole page at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, func, literal_column, or_, select

from hpsearch.storage.dialects import dialect_of
from hpsearch.storage.paging import after, check_limit, decode_token, encode_token, ordered
from hpsearch.storage.records import StudyRecord, columns_of, to_record
from hpsearch.storage.tables import study, trial, worker

_COLUMNS: Final = columns_of(StudyRecord, study)
# Spelt out, not bound: the partial indexes serve only conditions the planner can read.
_OPEN: Final[ColumnElement[bool]] = literal_column("trial.state IN ('WAITING', 'RUNNING')")
_BOARD: Final[ColumnElement[bool]] = literal_column("trial.state = 'COMPLETE' AND trial.kind IN ('search', 'baseline')")
_RUNNING: Final[ColumnElement[bool]] = literal_column("trial.state = 'RUNNING'")

_FINISHED: Final = ("COMPLETE", "PRUNED", "INFEASIBLE")


class HeldRow(NamedTuple):
    """A trial that a worker holds."""

    worker_id: str
    trial_id: str
    number: int
    kind: str
    epoch: int
    started_at: datetime | None
    study_id: str
    study_name: str


class RecentRow(NamedTuple):
    """The newest finished search trials of a study together; no instant without any."""

    n: int
    first_started_at: datetime | None
    device_seconds: float


class OverviewRepository:
    """Studies side by side, read within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def page(
        self,
        *,
        limit: int,
        page_token: str | None,
        states: Sequence[str] = (),
        only_open: bool = False,
        name_part: str | None = None,
        label: tuple[str, str | None] | None = None,
    ) -> tuple[list[StudyRecord], str | None]:
        """Return studies, newest first, and the token of the next page.

        Args:
            limit: Studies at most, 1 to 1,000.
            page_token: From the page before.
            states: Only studies in one of these states; empty for all.
            only_open: Only studies that have not ended.
            name_part: Only studies with this in their name, in whatever case.
            label: Only studies with this label; None for its value takes any.

        Raises:
            InvalidInputError: The limit or token is not valid.
        """
        check_limit(limit)
        order = [(study.c.id, True)]
        statement = select(*_COLUMNS)
        if only_open:
            statement = statement.where(study.c.ended_at.is_(None))
        if states:
            statement = statement.where(study.c.state.in_(states))
        if name_part is not None:
            statement = statement.where(study.c.name.icontains(name_part, autoescape=True))
        if label is not None:
            statement = statement.where(dialect_of(self._connection).has_entry(study.c.labels, *label))
        if page_token is not None:
            statement = statement.where(after(order, decode_token("studies", page_token, length=1)))
        rows = self._connection.execute(ordered(statement, order).limit(limit + 1)).all()
        records = [to_record(StudyRecord, row) for row in rows[:limit]]
        return records, encode_token("studies", [records[-1].id]) if len(rows) > limit else None

    def open_counts(self, study_ids: Sequence[int]) -> dict[int, dict[str, int]]:
        """Return how many trials of each study wait and run, by the study's internal id and the state."""
        statement = (
            select(trial.c.study_id, trial.c.state, func.count().label("n"))
            .where(trial.c.study_id.in_(study_ids), _OPEN)
            .group_by(trial.c.study_id, trial.c.state)
        )
        counts: dict[int, dict[str, int]] = {}
        for row in self._connection.execute(statement):
            counts.setdefault(row.study_id, {})[row.state] = row.n
        return counts

    def improvements(self, study_id: int, *, larger_is_better: bool) -> list[tuple[int, float]]:
        """Return (number of results until then, value) of every ranked result that beat all before it, in order."""
        in_order = (trial.c.ended_at, trial.c.id)
        extreme = func.max(trial.c.value) if larger_is_better else func.min(trial.c.value)
        n_results: ColumnElement[int] = func.row_number().over(order_by=in_order).label("n_results")
        before: ColumnElement[Any] = extreme.over(order_by=in_order, rows=(None, -1)).label("before")
        results = select(n_results, before, trial.c.value).where(trial.c.study_id == study_id, _BOARD).subquery()
        beats = results.c.value > results.c.before if larger_is_better else results.c.value < results.c.before
        statement = select(results.c.n_results, results.c.value).where(or_(results.c.before.is_(None), beats))
        rows = self._connection.execute(statement.order_by(results.c.n_results))
        return [(row.n_results, row.value) for row in rows]

    def recent(self, study_id: int, *, limit: int) -> RecentRow:
        """Return what a study's newest finished search trials took; found from the end, however many there are."""
        newest = (
            select(trial.c.started_at, trial.c.device_seconds)
            .where(trial.c.study_id == study_id, trial.c.kind == "search", trial.c.state.in_(_FINISHED))
            .order_by(trial.c.number.desc())
            .limit(limit)
            .subquery()
        )
        statement = select(func.count(), func.min(newest.c.started_at), func.sum(newest.c.device_seconds))
        n, first, device_seconds = self._connection.execute(statement.select_from(newest)).one()
        return RecentRow(n, first, device_seconds or 0.0)

    def held(self, worker_uids: Sequence[str]) -> list[HeldRow]:
        """Return the trials that some workers hold, in the order of their claims."""
        columns = (
            worker.c.uid, trial.c.uid, trial.c.number, trial.c.kind, trial.c.last_epoch, trial.c.started_at,
            study.c.uid, study.c.name,
        )  # fmt: skip
        joined = worker.join(trial, trial.c.worker_id == worker.c.id).join(study, study.c.id == trial.c.study_id)
        statement = select(*columns).select_from(joined).where(worker.c.uid.in_(worker_uids), _RUNNING)
        rows = self._connection.execute(statement.order_by(worker.c.id, trial.c.started_at, trial.c.id))
        return [HeldRow(*row) for row in rows]
