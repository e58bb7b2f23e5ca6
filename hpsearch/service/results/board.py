"""The board of a study: its trials with their ranks, in any order, under any filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.domain.trial import Trial
from hpsearch.service.context import Context
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.service.results.trial_filter import conditions_of
from hpsearch.service.results.trials import check_choice, parameter_of
from hpsearch.storage.board import Placed
from hpsearch.storage.conditions import Wanted

RANK: Final = "rank"


@dataclass(frozen=True)
class BoardView:
    """Which trials a board shows, in which order.

    Attributes:
        sort: `rank` (always rising, trials without one last), or as `results.trials` takes it.
        order: asc or desc; trials without the value come last either way.
        state: Only trials in this state; None for all.
        kinds: Only trials of one of these kinds; empty for all.
        where: A filter; see `trial_filter`.
    """

    sort: str = RANK
    order: str = "asc"
    state: str | None = TrialState.COMPLETE.value
    kinds: tuple[str, ...] = (TrialKind.SEARCH.value, TrialKind.BASELINE.value)
    where: str = ""

    @property
    def is_ranking(self) -> bool:
        """Whether it is the ranking as it stands."""
        return self == BoardView(order=self.order)


@dataclass(frozen=True)
class Standing:
    """One trial on the board.

    Attributes:
        rank: Among all results; None for what is not ranked.
        rank_interval: Lowest and highest rank the seeds allow; None before the confirmation.
        mean: Over the seeds of the confirmation; None before it.
        interval: Low and high end of the 95 % interval of the mean; None without one.
        n_seeds: Of the confirmation; None before it.
    """

    trial: Trial
    rank: int | None
    rank_interval: tuple[int, int] | None = None
    mean: float | None = None
    interval: tuple[float, float] | None = None
    n_seeds: int | None = None


@dataclass(frozen=True)
class BoardPage:
    """A page of the board.

    Attributes:
        items: In the order asked for.
        next_page_token: For the page after it; None at the end.
        n_shown: Trials that the filter leaves; None without a filter.
        n_all: Trials of the same states and kinds without the filter; None without one.
    """

    items: tuple[Standing, ...]
    next_page_token: str | None
    n_shown: int | None = None
    n_all: int | None = None


def board(ctx: Context, study_id: str, view: BoardView, *, limit: int, page_token: str | None = None) -> BoardPage:
    """Return a page of a study's trials.

    Args:
        ctx: The server's parts.
        study_id: Whose trials.
        view: Which trials in which order.
        limit: Trials at most, 1 to 1,000.
        page_token: From the page before.

    Raises:
        NotFoundError: There is no such study.
        InvalidInputError: The view, limit or page token is not valid; code `filter.invalid` for the filter.
    """
    check_choice(view.state, view.kinds, view.order)
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        conditions = conditions_of(view.where, definition_of(study).space.flat(), resolved_of(study).metric)
        everything = Wanted(() if view.state is None else (view.state,), tuple(view.kinds))
        wanted = replace(everything, where=conditions)
        if view.sort != RANK:
            found, token = tx.trials.page(
                study.id,
                limit=limit,
                page_token=page_token,
                sort=view.sort,
                descending=view.order == "desc",
                wanted=wanted,
                parameter=parameter_of(study, view.sort),
            )
            placed = tx.board.placed(study.id, found)
        elif view.is_ranking:
            # What most look at: an index holds it in this order.
            ranked, token = tx.trials.ranked(study.id, limit=limit, page_token=page_token)
            placed = [Placed(*one) for one in ranked]
        else:
            placed, token = tx.board.by_rank(study.id, wanted, limit=limit, page_token=page_token)
        items = tuple(map(_standing, placed))
        if not conditions:
            return BoardPage(items, token)
        n_shown, n_all = (tx.board.count(study.id, one) for one in (wanted, everything))
    return BoardPage(items, token, n_shown, n_all)


def standings(ctx: Context, study_id: str, numbers: Sequence[int]) -> tuple[Standing, ...]:
    """Return trials of a study by their numbers, in the order given; numbers there are not are left out.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        return tuple(map(_standing, tx.board.placed(study.id, tx.trials.by_numbers(study.id, numbers))))


def _standing(placed: Placed) -> Standing:
    confirmed = placed.confirmation or {}
    pairs = {name: (pair[0], pair[1]) for name in ("rank_interval", "interval") if (pair := confirmed.get(name))}
    return Standing(placed.trial, placed.rank, mean=confirmed.get("mean"), n_seeds=confirmed.get("n_seeds"), **pairs)
