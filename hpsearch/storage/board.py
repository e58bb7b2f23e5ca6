"""The board of a study: trials with their ranks, in order of rank and under conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Subquery, func, literal_column, select

from hpsearch.domain.trial import Trial
from hpsearch.storage.conditions import Wanted
from hpsearch.storage.paging import Order, check_limit, checked, decode_token, encode_token
from hpsearch.storage.tables import trial
from hpsearch.storage.trials import TrialRepository

# Spelt out, not bound: the partial index serves only a condition the planner can read.
_RANKED: Final = "trial.state = 'COMPLETE' AND trial.kind IN ('search', 'baseline')"
_BOARD: Final[ColumnElement[bool]] = literal_column(_RANKED)
_NO_BOARD: Final[ColumnElement[bool]] = literal_column(f"NOT ({_RANKED})")


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
        rank, last_id = None, 0
        if page_token is not None:
            order: Order = [(ranks.c.rank, False), (trial.c.id, False)]
            rank, last_id = checked(order, decode_token("board", page_token, length=2))
        found: list[tuple[int | None, int]] = []
        if page_token is None or rank is not None:
            # Not a join, for which SQLite would walk through all ranks once for each trial.
            ids = wanted.narrow(select(trial.c.id).where(trial.c.study_id == study_id))
            ranked = select(ranks.c.rank, ranks.c.id).where(ranks.c.id.in_(ids), ranks.c.rank > (rank or 0))
            rows = self._connection.execute(ranked.order_by(ranks.c.rank).limit(limit + 1))
            found += [(row.rank, row.id) for row in rows]
        if len(found) <= limit:
            after_id = last_id if page_token is not None and rank is None else 0
            rest = select(trial.c.id).where(trial.c.study_id == study_id, _NO_BOARD, trial.c.id > after_id)
            rows = self._connection.execute(wanted.narrow(rest).order_by(trial.c.id).limit(limit + 1 - len(found)))
            found += [(None, row.id) for row in rows]
        page = found[:limit]
        trials = TrialRepository(self._connection).by_ids([one for _, one in page])
        confirmed = self._confirmations([one for _, one in page])
        placed = [Placed(place, one, confirmed[id_]) for (place, id_), one in zip(page, trials, strict=True)]
        return placed, encode_token("board", page[-1]) if len(found) > limit else None

    def placed(self, study_id: int, trials: Sequence[Trial]) -> list[Placed]:
        """Return trials of a study with their ranks, in the order given."""
        statement = select(trial.c.uid, trial.c.id).where(trial.c.uid.in_([one.trial_id for one in trials]))
        ids = {row.uid: row.id for row in self._connection.execute(statement)}
        ranks = _ranks(study_id)
        rows = self._connection.execute(select(ranks.c.id, ranks.c.rank).where(ranks.c.id.in_(list(ids.values()))))
        known = {row.id: row.rank for row in rows}
        confirmed = self._confirmations(list(ids.values()))
        return [Placed(known.get(ids[one.trial_id]), one, confirmed[ids[one.trial_id]]) for one in trials]

    def _confirmations(self, ids: Sequence[int]) -> dict[int, dict[str, Any] | None]:
        rows = self._connection.execute(select(trial.c.id, trial.c.confirmation).where(trial.c.id.in_(ids)))
        return {row.id: row.confirmation for row in rows}

    def count(self, study_id: int, wanted: Wanted) -> int:
        """Return how many of a study's trials are wanted."""
        statement = select(func.count()).select_from(trial).where(trial.c.study_id == study_id)
        return int(self._connection.execute(wanted.narrow(statement)).scalar_one())


def _ranks(study_id: int) -> Subquery:
    rank: ColumnElement[int] = func.row_number().over(order_by=(trial.c.tier, trial.c.score, trial.c.id)).label("rank")
    return select(trial.c.id, rank).where(trial.c.study_id == study_id, _BOARD).subquery("ranks")
