"""The board of a study page: which trials it shows, in which order, and its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Query

from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.errors import InvalidInputError
from hpsearch.service.context import Context
from hpsearch.service.results import board as boards
from hpsearch.service.results.board import RANK, BoardView, Standing
from hpsearch.service.results.trial_filter import MAX_CHARACTERS
from hpsearch.wire.pages import StudyView
from hpsearch.wording.trials import kind_of_trial

ANY: Final = "ANY"
# What the board shows by default: trials that can have a rank.
RANKED_STATE: Final = TrialState.COMPLETE.value
RANKED_KINDS: Final = (TrialKind.SEARCH.value, TrialKind.BASELINE.value)
# As many as leave the charts below within reach.
PAGE_ROWS: Final = 25
_SORTS: Final = "rank|number|value|epochs|device_seconds|duration_s|n_weights|created_at"


@dataclass(frozen=True)
class Choice:
    """The viewer's choice of what the board shows."""

    sort: Annotated[str, Query(max_length=80, pattern=rf"^({_SORTS}|param\.[a-z0-9_]+)$")] = RANK
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "asc"
    state: Annotated[str, Query(max_length=20)] = ""
    kind: Annotated[str, Query(max_length=20)] = ""
    where: Annotated[str, Query(max_length=MAX_CHARACTERS, description="A filter.")] = ""
    page_token: Annotated[str, Query(max_length=2000, pattern=r"^[A-Za-z0-9_-]*$")] = ""

    @property
    def is_ranking(self) -> bool:
        """Whether it is the ranking as it stands, without a filter."""
        return self.sort == RANK and not self.is_filtered

    @property
    def is_filtered(self) -> bool:
        """Whether it shows something else than the trials that are ranked."""
        return bool(self.state or self.kind or self.where)

    @property
    def turn(self) -> str:
        """Which way the rows go: ranks always rise, the best comes first."""
        return "asc" if self.sort == RANK else self.order


Chosen = Annotated[Choice, Depends()]


@dataclass(frozen=True)
class Row:
    """One line of the board.

    Attributes:
        place: The rank, or the ranks it may have once confirmed; empty for what is not ranked.
        value: Of the validation rows, with the seed the search drew; None for a refit, which has none.
        mean: Over further seeds; None before the confirmation.
        test: Of the test rows, for a refit alone.
    """

    trial_id: str
    number: int
    kind: str
    state: str
    place: str
    is_tied: bool
    value: float | None
    mean: float | None
    interval: tuple[float, float] | None
    n_seeds: int | None
    test: float | None
    params: dict[str, Any]
    best_epoch: int | None
    epochs: int | None
    n_weights: int | None
    device_seconds: float
    duration_s: float | None
    cause: str | None


@dataclass(frozen=True)
class Board:
    """One page of the board.

    Attributes:
        error: Why the filter can not be used; None when it can.
        n_shown: Trials that the filter leaves; None without one.
        n_all: Trials there are without it; None without one.
    """

    rows: tuple[Row, ...] = ()
    next_page_token: str | None = None
    error: str | None = None
    n_shown: int | None = None
    n_all: int | None = None

    @property
    def is_confirmed(self) -> bool:
        """Whether some rows have a mean over further seeds."""
        return any(row.mean is not None for row in self.rows)

    @property
    def has_tests(self) -> bool:
        """Whether some rows have a test score."""
        return any(row.test is not None for row in self.rows)


def board(ctx: Context, study: StudyView, choice: Choice) -> Board:
    """Return the page that was asked for; it says what is wrong with a filter.

    Raises:
        InvalidInputError: The order, state, kind or page token is not valid.
    """
    view = BoardView(
        sort=choice.sort,
        order=choice.turn,
        state=None if choice.state == ANY else choice.state or RANKED_STATE,
        kinds=() if choice.kind == ANY else (choice.kind,) if choice.kind else RANKED_KINDS,
        where=choice.where,
    )
    try:
        found = boards.board(ctx, study.study_id, view, limit=PAGE_ROWS, page_token=choice.page_token or None)
    except InvalidInputError as error:
        if error.code != "filter.invalid":
            raise
        return Board(error=error.message)
    return Board(
        rows=tuple(map(_row, found.items)),
        next_page_token=found.next_page_token,
        n_shown=found.n_shown,
        n_all=found.n_all,
    )


def _row(standing: Standing) -> Row:
    rank, trial = standing.rank, standing.trial
    low, high = standing.rank_interval or (rank, rank)
    is_refit = trial.kind is TrialKind.REFIT
    return Row(
        trial_id=trial.trial_id,
        number=trial.number,
        kind=kind_of_trial(trial.kind.value, trial.params),
        state=trial.state.value,
        place="" if rank is None else str(rank) if low == high else f"{low} to {high}",
        is_tied=low != high,
        value=None if is_refit else trial.value,
        mean=standing.mean,
        interval=standing.interval,
        n_seeds=standing.n_seeds,
        test=trial.value if is_refit else None,
        params=trial.params,
        best_epoch=trial.best_epoch,
        epochs=trial.epochs,
        n_weights=trial.n_weights,
        device_seconds=trial.device_seconds,
        duration_s=trial.duration_s,
        cause=trial.cause,
    )


STATES: Final = tuple(state.value for state in TrialState if state is not TrialState.COMPLETE)
KINDS: Final = tuple(kind.value for kind in TrialKind)
