"""Rows of `trial` as users read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    and_,
    cast,
    func,
    literal_column,
    select,
    tuple_,
)

from hpsearch.domain.trial import Trial
from hpsearch.errors import InvalidInputError, NotFoundError
from hpsearch.storage.conditions import Wanted
from hpsearch.storage.paging import Order, check_limit, checked, decode_token, encode_token
from hpsearch.storage.records import to_trial
from hpsearch.storage.tables import model, result, study, trial, worker

_parent = trial.alias("parent")

# Spelt out, not bound: the partial index serves only a condition the planner can read.
_BOARD: Final[ColumnElement[bool]] = literal_column("trial.state = 'COMPLETE' AND trial.kind IN ('search', 'baseline')")

SORTS: Final = ("number", "value", "epochs", "device_seconds", "n_weights", "duration_s", "created_at")


def _select_trials() -> Select[Any]:
    return select(
        trial,
        study.c.uid.label("study_uid"),
        worker.c.uid.label("worker_uid"),
        _parent.c.uid.label("parent_uid"),
        result.c.metrics.label("metrics"),
        result.c.detail.label("detail"),
        model.c.digest.label("model_digest"),
    ).select_from(
        trial.join(study, study.c.id == trial.c.study_id)
        .outerjoin(worker, worker.c.id == trial.c.worker_id)
        .outerjoin(_parent, _parent.c.id == trial.c.parent_id)
        .outerjoin(result, result.c.trial_id == trial.c.id)
        .outerjoin(model, and_(model.c.trial_id == trial.c.id, model.c.attempt == result.c.attempt))
    )


def _of_params(name: str, is_number: bool) -> ColumnElement[Any]:  # noqa: FBT001 - one of two kinds of values
    """Return a parameter's value as something rows can be ordered by; NULL where it was not active."""
    member = trial.c.params[name]
    return member.as_float() if is_number else cast(member.as_string(), Text)


class Ranked(NamedTuple):
    """A result on the leaderboard; the confirmation is JSON, None before it."""

    rank: int
    trial: Trial
    confirmation: dict[str, Any] | None


class TrialRepository:
    """Trials, read within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, uid: str) -> Trial:
        """Return one trial.

        Raises:
            NotFoundError: There is none of that id.
        """
        row = self._connection.execute(_select_trials().where(trial.c.uid == uid)).first()
        if row is None:
            msg = f"there is no trial {uid!r}"
            raise NotFoundError(msg, code="trial.not_found")
        return to_trial(row)

    def by_id(self, trial_id: int) -> Trial:
        """Return one trial by its internal id, which must exist."""
        return to_trial(self._connection.execute(_select_trials().where(trial.c.id == trial_id)).one())

    def study_of(self, uid: str) -> int:
        """Return the internal id of a trial's study.

        Raises:
            NotFoundError: There is no such trial.
        """
        found = self._connection.execute(select(trial.c.study_id).where(trial.c.uid == uid)).scalar()
        if found is None:
            msg = f"there is no trial {uid!r}"
            raise NotFoundError(msg, code="trial.not_found")
        return int(found)

    def page(
        self,
        study_id: int,
        *,
        limit: int,
        page_token: str | None,
        sort: str = "number",
        descending: bool = False,
        wanted: Wanted = Wanted(),  # noqa: B008 - frozen
        parameter: tuple[str, bool] | None = None,
    ) -> tuple[list[Trial], str | None]:
        """Return a study's trials in an order of `SORTS`, and the token of the next page.

        Args:
            study_id: Whose trials.
            limit: Trials at most, 1 to 1,000.
            page_token: From the page before.
            sort: One of `SORTS`, or whatever names `parameter`.
            descending: Falling instead of rising; trials without the value come last either way.
            wanted: Which trials; all when left out.
            parameter: Order by this parameter instead, and whether its values are numbers.

        Raises:
            InvalidInputError: The limit, sort or token is not valid.
        """
        check_limit(limit)
        if parameter is None and sort not in SORTS:
            msg = f"sort must be one of {', '.join(SORTS)} or param.NAME, received {sort!r}"
            raise InvalidInputError(msg, code="sort.invalid")
        # A page over instants is a page over numbers: both rise together, and numbers survive JSON exactly.
        column = trial.c["number" if sort == "created_at" else sort] if parameter is None else _of_params(*parameter)
        # The keys alone are sorted; whole rows are fetched for one page of them.
        keys: Select[Any] = select(trial.c.id, column.label("position")).where(trial.c.study_id == study_id)
        keys = wanted.narrow(keys)
        scope = f"trials:{sort}:{descending:d}"
        position = None if page_token is None else decode_token(scope, page_token, length=2)
        found = self._keys(keys, column, descending=descending, limit=limit + 1, position=position)
        trials = self.by_ids([row.id for row in found[:limit]])
        if len(found) <= limit:
            return trials, None
        last = found[limit - 1]
        return trials, encode_token(scope, [last.position, last.id])

    def _keys(
        self,
        keys: Select[Any],
        column: ColumnElement[Any],
        *,
        descending: bool,
        limit: int,
        position: Sequence[Any] | None,
    ) -> list[Row[Any]]:
        """Return keys after a position in the order of a column, those without a value at the end.

        First those with a value, which an index holds in this order, then the others if there is room for them: asked
        for in one statement, all keys of the study would be sorted for each page.
        """
        order = [(column, descending), (trial.c.id, descending)]
        if position is not None:
            checked(order, position)
        directed = [part.desc() if descending else part.asc() for part in (column, trial.c.id)]
        found: list[Row[Any]] = []
        if position is None or position[0] is not None:
            part = keys if not getattr(column, "nullable", True) else keys.where(column.is_not(None))
            if position is not None:
                here, there = tuple_(column, trial.c.id), tuple_(*position)
                part = part.where(here < there if descending else here > there)
            found += self._connection.execute(part.order_by(*directed).limit(limit)).all()
        if len(found) < limit and getattr(column, "nullable", True):
            part = keys.where(column.is_(None))
            if position is not None and position[0] is None:
                part = part.where(trial.c.id < position[1] if descending else trial.c.id > position[1])
            found += self._connection.execute(part.order_by(directed[1]).limit(limit - len(found))).all()
        return found

    def by_ids(self, ids: Sequence[int]) -> list[Trial]:
        """Return trials by their internal ids, which must exist, in the same order."""
        rows = {row.id: row for row in self._connection.execute(_select_trials().where(trial.c.id.in_(ids)))}
        return [to_trial(rows[one]) for one in ids]

    def by_numbers(self, study_id: int, numbers: Sequence[int]) -> list[Trial]:
        """Return a study's trials of some numbers, in the order given; numbers there are not are left out."""
        statement = _select_trials().where(trial.c.study_id == study_id, trial.c.number.in_(numbers))
        rows = {row.number: row for row in self._connection.execute(statement)}
        return [to_trial(rows[number]) for number in numbers if number in rows]

    def ranked(self, study_id: int, *, limit: int, page_token: str | None) -> tuple[list[Ranked], str | None]:
        """Return search and baseline results, best first, with their ranks, and the token of the next page.

        Raises:
            InvalidInputError: The limit or token is not valid.
        """
        check_limit(limit)
        order: Order = [(trial.c.tier, False), (trial.c.score, False), (trial.c.id, False)]
        statement = _select_trials().where(trial.c.study_id == study_id, _BOARD)
        start = 1
        if page_token is not None:
            *position, rank = decode_token("leaderboard", page_token, length=4)
            checked([*order, (trial.c.number, False)], [*position, rank], some_missing=False)
            statement = statement.where(tuple_(*(column for column, _ in order)) > tuple_(*position))
            start = int(rank) + 1
        rows = self._connection.execute(statement.order_by(*(column for column, _ in order)).limit(limit + 1)).all()
        found = [Ranked(start + i, to_trial(row), row.confirmation) for i, row in enumerate(rows[:limit])]
        if len(rows) <= limit:
            return found, None
        last = rows[limit - 1]
        return found, encode_token("leaderboard", [last.tier, last.score, last.id, start + limit - 1])

    def confirmation_of(self, uid: str) -> dict[str, Any] | None:
        """Return what the confirmation found of a trial; None before it."""
        found: dict[str, Any] | None = self._connection.execute(
            select(trial.c.confirmation).where(trial.c.uid == uid)
        ).scalar()
        return found

    def kth_value(self, study_id: int, k: int) -> float | None:
        """Return the value of the k-th ranked result, None when there are fewer."""
        statement = select(trial.c.value).where(trial.c.study_id == study_id, _BOARD)
        statement = statement.order_by(trial.c.tier, trial.c.score, trial.c.id).limit(1).offset(k - 1)
        value = self._connection.execute(statement).scalar()
        return None if value is None else float(value)

    def best_ids(self, study_id: int, k: int, *, kinds: Sequence[str] = ("search", "baseline")) -> list[int]:
        """Return the internal ids of the k best results of some kinds, the best first."""
        statement = select(trial.c.id).where(trial.c.study_id == study_id, _BOARD, trial.c.kind.in_(kinds))
        statement = statement.order_by(trial.c.tier, trial.c.score, trial.c.id).limit(k)
        return list(self._connection.execute(statement).scalars())

    def best_of_search(self, study_id: int, k: int, *, larger_is_better: bool) -> list[int]:
        """Return the internal ids of the k search results with the best values, confirmed or not, the best first."""
        statement = select(trial.c.id).where(
            trial.c.study_id == study_id, trial.c.value.is_not(None), _BOARD, trial.c.kind == "search"
        )
        value = trial.c.value.desc() if larger_is_better else trial.c.value.asc()
        return list(self._connection.execute(statement.order_by(value, trial.c.id).limit(k)).scalars())

    def observations(self, study_id: int, *, kinds: Sequence[str]) -> list[tuple[dict[str, Any], str, float | None]]:
        """Return parameters, state and value of a study's trials of some kinds, in order of creation."""
        statement = (
            select(trial.c.params, trial.c.state, trial.c.value)
            .where(trial.c.study_id == study_id, trial.c.kind.in_(kinds))
            .order_by(trial.c.id)
        )
        return [(row.params, row.state, row.value) for row in self._connection.execute(statement)]

    def repeats_of(self, study_id: int) -> dict[int, list[float]]:
        """Return the values of finished confirmation trials by the trial they repeat."""
        statement = (
            select(trial.c.parent_id, trial.c.value)
            .where(
                trial.c.study_id == study_id,
                trial.c.kind == "confirmation",
                trial.c.state == "COMPLETE",
                trial.c.value.is_not(None),
            )
            .order_by(trial.c.id)
        )
        repeats: dict[int, list[float]] = {}
        for row in self._connection.execute(statement):
            repeats.setdefault(row.parent_id, []).append(row.value)
        return repeats

    def repeating(self, uid: str) -> list[Trial]:
        """Return the trials that repeat one with other seeds or rows, in order of creation."""
        statement = _select_trials().where(_parent.c.uid == uid).order_by(trial.c.id)
        return [to_trial(row) for row in self._connection.execute(statement)]

    def of_kind(self, study_id: int, kind: str) -> list[Trial]:
        """Return a study's trials of one kind, in order of creation."""
        statement = _select_trials().where(trial.c.study_id == study_id, trial.c.kind == kind).order_by(trial.c.id)
        return [to_trial(row) for row in self._connection.execute(statement)]

    def open_counts(self, study_id: int) -> dict[tuple[str, str], int]:
        """Return the number of waiting and running trials by (state, kind)."""
        statement = (
            select(trial.c.state, trial.c.kind, func.count())
            .where(trial.c.study_id == study_id, literal_column("trial.state IN ('WAITING', 'RUNNING')"))
            .group_by(trial.c.state, trial.c.kind)
        )
        return {(state, kind): n for state, kind, n in self._connection.execute(statement)}

    def taken_grid_indices(self, study_id: int, candidates: Sequence[int]) -> set[int]:
        """Return those of the grid indices that already have a trial."""
        statement = select(trial.c.grid_index).where(trial.c.study_id == study_id, trial.c.grid_index.in_(candidates))
        return {int(index) for index in self._connection.execute(statement).scalars() if index is not None}

    def of_grid_index(self, study_id: int, grid_index: int) -> int | None:
        """Return the internal id of a grid point's trial; None when it has none yet."""
        statement = select(trial.c.id).where(trial.c.study_id == study_id, trial.c.grid_index == grid_index)
        return self._connection.execute(statement).scalar()
