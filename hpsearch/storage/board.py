"""The board of a study: trials with their ranks, in order of rank and under conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Subquery, func, literal_column, select

from hpsearch.domain.trial import Trial
from hpsearch.storage.conditions import Wanted
from hpsearch.storage.paging import Order, after, check_limit, decode_token, encode_token, ordered
from hpsearch.storage.tables import trial
from hpsearch.storage.trials import TrialRepository

# Spelt out, not bound: the partial index serves only a condition the planner can read.
_BOARD: Final[ColumnElement[bool]] = literal_column("trial.state = 'COMPLETE' AND trial.kind IN ('search', 'baseline')")


class Placed(NamedTuple):
    """A trial and its rank; None for one that is not ranked. The confirmation is JSON, None before it."""

    rank: int | None
    trial: Trial
    confirmation: dict[str, Any] | None


class BoardRepository:
    """Ranks within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_rank(
        self, study_id: int, wanted: Wanted, *, limit: int, page_token: str | None
    ) -> tuple[list[Placed], str | None]:
        """Return trials in order of their rank among all results, those without one last, and the next page's token.

        Costs more the more results there are; for the plain ranking see `TrialRepository.ranked`.

        Raises:
            InvalidInputError: The limit or token is not valid.
        """
        check_limit(limit)
        ranks = _ranks(study_id)
        order: Order = [(ranks.c.rank, False), (trial.c.id, False)]
        keys: Select[Any] = select(trial.c.id, ranks.c.rank, trial.c.confirmation)
        keys = keys.select_from(trial.outerjoin(ranks, ranks.c.id == trial.c.id)).where(trial.c.study_id == study_id)
        keys = wanted.narrow(keys)
        if page_token is not None:
            keys = keys.where(after(order, decode_token("board", page_token, length=2)))
        rows = self._connection.execute(ordered(keys, order).limit(limit + 1)).all()
        trials = TrialRepository(self._connection).by_ids([row.id for row in rows[:limit]])
        placed = [Placed(row.rank, one, row.confirmation) for row, one in zip(rows[:limit], trials, strict=True)]
        last = rows[limit - 1] if len(rows) > limit else None
        return placed, None if last is None else encode_token("board", [last.rank, last.id])

    def placed(self, study_id: int, trials: Sequence[Trial]) -> list[Placed]:
        """Return trials of a study with their ranks, in the order given."""
        ranks = _ranks(study_id)
        statement = select(trial.c.uid, ranks.c.rank, trial.c.confirmation).join(ranks, ranks.c.id == trial.c.id)
        wanted = statement.where(trial.c.uid.in_([one.trial_id for one in trials]))
        known = {row.uid: row for row in self._connection.execute(wanted)}
        return [
            Placed(known[one.trial_id].rank, one, known[one.trial_id].confirmation)
            if one.trial_id in known
            else Placed(None, one, None)
            for one in trials
        ]

    def count(self, study_id: int, wanted: Wanted) -> int:
        """Return how many of a study's trials are wanted."""
        statement = select(func.count()).select_from(trial).where(trial.c.study_id == study_id)
        return int(self._connection.execute(wanted.narrow(statement)).scalar_one())


def _ranks(study_id: int) -> Subquery:
    rank: ColumnElement[int] = func.row_number().over(order_by=(trial.c.tier, trial.c.score, trial.c.id)).label("rank")
    return select(trial.c.id, rank).where(trial.c.study_id == study_id, _BOARD).subquery("ranks")
