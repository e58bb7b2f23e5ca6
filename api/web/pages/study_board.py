"""The board of a study page: which trials it shows, in which order, and its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Query

from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.domain.trial import Trial
from hpsearch.service import results
from hpsearch.service.context import Context
from hpsearch.wire.pages import LeaderboardRow, StudyView
from hpsearch.wording.trials import kind_of_trial

RANK: Final = "rank"
ANY: Final = "ANY"
# What the board shows as long as nobody chose anything else: what can have a rank.
RANKED_STATE: Final = TrialState.COMPLETE.value
RANKED_KINDS: Final = (TrialKind.SEARCH.value, TrialKind.BASELINE.value)
# As many as leave the charts below within reach.
PAGE_ROWS: Final = 25
_SORTS: Final = "rank|number|value|epochs|device_seconds|duration_s|n_weights|created_at"


@dataclass(frozen=True)
class Choice:
    """What somebody chose to see of the board."""

    sort: Annotated[str, Query(max_length=80, pattern=rf"^({_SORTS}|param\.[a-z0-9_]+)$")] = RANK
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "asc"
    state: Annotated[str, Query(max_length=20)] = ""
    kind: Annotated[str, Query(max_length=20)] = ""
    page_token: Annotated[str, Query(max_length=2000, pattern=r"^[A-Za-z0-9_-]*$")] = ""

    @property
    def is_ranking(self) -> bool:
        """Whether it is the ranking as it stands, without a filter."""
        return self.sort == RANK and not self.is_filtered

    @property
    def is_filtered(self) -> bool:
        """Whether it shows something else than the trials that are ranked."""
        return bool(self.state or self.kind)

    @property
    def turn(self) -> str:
        """Which way the rows go: ranks always rise, the best comes first."""
        return "asc" if self.sort == RANK else self.order


Chosen = Annotated[Choice, Depends()]


@dataclass(frozen=True)
class Row:
    """One line of the board.

    Attributes:
        place: The rank, or the ranks it may have once confirmed.
        flattered: The value the search saw, where further seeds gave another; None before the confirmation.
    """

    trial_id: str
    number: int
    kind: str
    state: str
    place: str
    is_tied: bool
    value: float | None
    interval: tuple[float, float] | None
    n_seeds: int | None
    flattered: float | None
    params: dict[str, Any]
    best_epoch: int | None
    epochs: int | None
    n_weights: int | None
    device_seconds: float
    duration_s: float | None
    cause: str | None


@dataclass(frozen=True)
class Board:
    """One page of the board."""

    rows: tuple[Row, ...]
    next_page_token: str | None
    is_confirmed: bool


def board(ctx: Context, study: StudyView, choice: Choice) -> Board:
    """Return the page that was asked for.

    Raises:
        InvalidInputError: The order, filter or page token is not valid.
    """
    token = choice.page_token or None
    if choice.is_ranking:
        page = results.leaderboard(ctx, study.study_id, limit=PAGE_ROWS, page_token=token)
        tied = _tied(page.items)
        rows = tuple(_ranked(one, is_tied=one.trial_id in tied) for one in page.items)
        return Board(rows, page.next_page_token, any(row.n_seeds for row in rows))
    descending, sort = choice.turn == "desc", choice.sort
    if sort == RANK:
        # Within a filter, the order of ranks is the order of values.
        sort, descending = "value", study.resolved.direction == "maximize"
    found = results.trials(
        ctx,
        study.study_id,
        limit=PAGE_ROWS,
        page_token=token,
        state=None if choice.state == ANY else choice.state or RANKED_STATE,
        kinds=() if choice.kind == ANY else (choice.kind,) if choice.kind else RANKED_KINDS,
        sort=sort,
        order="desc" if descending else "asc",
    )
    return Board(tuple(_plain(one) for one in found.items), found.next_page_token, is_confirmed=False)


def _tied(rows: tuple[LeaderboardRow, ...]) -> set[str]:
    """Return the ids of confirmed rows whose ranks the seeds leave open."""
    return {row.trial_id for row in rows if row.rank_interval and row.rank_interval[0] != row.rank_interval[1]}


def _ranked(row: LeaderboardRow, *, is_tied: bool) -> Row:
    low, high = row.rank_interval or (row.rank, row.rank)
    return Row(
        trial_id=row.trial_id,
        number=row.number,
        kind=kind_of_trial(row.kind, row.params),
        state="COMPLETE",
        place=str(row.rank) if low == high else f"{low} to {high}",
        is_tied=is_tied,
        value=row.mean if row.mean is not None else row.value,
        interval=row.interval,
        n_seeds=row.n_seeds,
        flattered=None if row.mean is None else row.value,
        params=row.params,
        best_epoch=row.best_epoch,
        epochs=row.epochs,
        n_weights=row.n_weights,
        device_seconds=row.device_seconds,
        duration_s=row.duration_s,
        cause=None,
    )


def _plain(trial: Trial) -> Row:
    return Row(
        trial_id=trial.trial_id,
        number=trial.number,
        kind=kind_of_trial(trial.kind.value, trial.params),
        state=trial.state.value,
        place="",
        is_tied=False,
        value=trial.value,
        interval=None,
        n_seeds=None,
        flattered=None,
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
