"""Keyset pages and the views of studies, trials and leaderboards they hold."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from hpsearch.domain.strict import Lenient
from hpsearch.domain.study import ResolvedStudy, StudyDefinition
from hpsearch.domain.trial import Attempt, Params, Trial
from hpsearch.wire.final_model import FinalModel

Item = TypeVar("Item")


class Page(Lenient, Generic[Item]):
    """Some items and where to go on.

    Attributes:
        next_page_token: Give it back as `page_token` for the next items; None at the end.
    """

    items: tuple[Item, ...]
    next_page_token: str | None = None


class LeaderboardRow(Lenient):
    """One ranked trial.

    Attributes:
        rank: From 1; by the value, or by the mean once confirmed.
        kind: `search` or `baseline`.
        value: The objective at the best epoch.
        mean: Over the seeds of the confirmation; None before it.
        interval: Low and high end of the 95 % interval of the mean; None before the confirmation.
        rank_interval: Lowest and highest rank the seeds allow; None before the confirmation.
    """

    rank: int
    trial_id: str
    number: int
    kind: str
    params: Params
    value: float
    metrics: dict[str, float | None] = {}
    best_epoch: int | None = None
    epochs: int | None = None
    stop_reason: str | None = None
    n_weights: int | None = None
    device_seconds: float = 0.0
    duration_s: float | None = None
    mean: float | None = None
    n_seeds: int | None = None
    interval: tuple[float, float] | None = None
    rank_interval: tuple[int, int] | None = None


class LeaderboardPage(Page[LeaderboardRow]):
    """A page of the leaderboard with the objective it is ranked by."""

    metric: str
    direction: str


class BudgetUsed(Lenient):
    """What a study has used of what it may use.

    Attributes:
        max_trials: Search trials it will finish.
        n_created: Search trials created so far.
        n_trials: Search trials finished so far.
        wall_time_s: Seconds since creation, until the end once ended.
        device_seconds: Over all trials and attempts.
    """

    max_trials: int
    n_created: int
    n_trials: int
    wall_time_s: float
    device_seconds: float


class StudyView(Lenient):
    """A study as users see it.

    Attributes:
        counts: Trials per state, all kinds.
        n_trials: Finished search trials.
        best: The best trial of the board; None before the first result.
        final: The model the study hands out and the figure to believe; None until the study has ended with a model.
        phase: `search`, `confirmation`, `refit` or `ended`: what it is doing.
        note_to_user: One sentence when something deserves attention (no worker, sampler fell back, …).
    """

    study_id: str
    name: str
    state: str
    end_reason: str | None = None
    phase: str = "search"
    definition: StudyDefinition
    resolved: ResolvedStudy
    counts: dict[str, int]
    n_trials: int
    best: LeaderboardRow | None = None
    final: FinalModel | None = None
    budget: BudgetUsed
    priority: int = 0
    notes: str = ""
    labels: dict[str, str] = {}
    created_at: datetime
    ended_at: datetime | None = None
    note_to_user: str | None = None


class TrialView(Trial):
    """A trial with its attempts."""

    attempts: tuple[Attempt, ...] = ()


class MeasurementView(Lenient):
    """One epoch of one attempt, as stored."""

    attempt: int
    epoch: int
    metrics: dict[str, float | None]


class RunningTrial(Lenient):
    """A trial under way.

    Attributes:
        epoch: The last it has reported; 0 before the first.
        metrics: Of that epoch.
    """

    trial_id: str
    number: int
    kind: str
    attempt: int
    epoch: int
    worker_name: str | None = None
    metrics: dict[str, float | None] = {}


class RunningTrials(Lenient):
    """The trials of a study under way, the earliest first."""

    items: tuple[RunningTrial, ...] = ()


class HistoryPoint(Lenient):
    """One result on the way of a study.

    Attributes:
        n_results: Results until then, this one included.
        best: The best value until then, this one included.
        device_seconds: Spent by those results.
    """

    n_results: int
    number: int
    trial_id: str
    kind: str = "search"
    value: float
    best: float | None = None
    at: datetime
    device_seconds: float


class Event(Lenient):
    """Something that happened in a study.

    Attributes:
        event_id: Rises; give it back as `Last-Event-ID`.
        kind: Dotted, such as `trial.complete` or `study.paused`.
    """

    event_id: str
    study_id: str | None = None
    trial_id: str | None = None
    kind: str
    at: datetime
    data: dict[str, Any] = {}
