"""Stopping criteria: when a study's search is over and why, a pure function of its counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hpsearch.domain.lifecycle import EndReason
from hpsearch.domain.objective import Objective
from hpsearch.domain.study import StudyDefinition

# Open trials of a search that learns, however small its budget and its fleet.
_LEAST_OPEN: Final = 4
# Trials a worker holds beside those in training: the next one, and one that is being written down.
_AHEAD_OF_WORKER: Final = 2


@dataclass(frozen=True)
class Progress:
    """What a study has used so far.

    Attributes:
        max_trials: Search trials it is to finish.
        grid_size: Feasible points of its grid; None where its space is not finite.
        n_search: Search trials created.
        n_finished: Search trials finished.
        n_failed: Search trials that failed in training or were lost repeatedly.
        n_lost: Those of them that were lost repeatedly: they say nothing of the training, and end no study.
        n_cancelled: Search trials a person stopped.
        best_value: None before the first result.
        wall_time_s: Since creation.
        device_seconds: Over all trials.
    """

    max_trials: int
    grid_size: int | None
    n_search: int
    n_finished: int
    n_failed: int
    n_cancelled: int
    best_value: float | None
    wall_time_s: float
    device_seconds: float
    n_lost: int = 0

    @property
    def n_wanted(self) -> int:
        """Search trials that will be finished: a grid point somebody stopped is not replaced, other trials are."""
        return self.max_trials - (self.n_cancelled if self.grid_size is not None else 0)

    @property
    def n_creatable(self) -> int:
        """Search trials that may still be created."""
        replaced = 0 if self.grid_size is not None else self.n_cancelled
        return max(0, self.max_trials + replaced - self.n_search)


def end_reason(progress: Progress, definition: StudyDefinition, objective: Objective) -> EndReason | None:
    """Return why the search is over; None while it is not."""
    budget = definition.budget
    if progress.n_failed - progress.n_lost >= budget.max_failed:
        return EndReason.MAX_FAILED
    if (
        budget.target is not None
        and progress.best_value is not None
        and not objective.better(budget.target, progress.best_value)
    ):
        return EndReason.TARGET_REACHED
    if progress.n_finished >= progress.n_wanted and progress.n_creatable == 0:
        whole = progress.grid_size is not None and progress.grid_size == progress.max_trials
        asked = budget.max_trials is not None and budget.max_trials <= progress.max_trials
        return EndReason.SPACE_EXHAUSTED if whole and not asked else EndReason.MAX_TRIALS
    if budget.wall_time_s is not None and progress.wall_time_s >= budget.wall_time_s:
        return EndReason.WALL_TIME
    if budget.device_seconds is not None and progress.device_seconds >= budget.device_seconds:
        return EndReason.DEVICE_SECONDS
    return None


@dataclass(frozen=True)
class FleetSlots:
    """What the fleet can train at the same time.

    Attributes:
        n_workers: Those at work.
        n_slots: Of all of them together; None while one of them does not say how many it has.
    """

    n_workers: int
    n_slots: int | None


def open_limit(definition: StudyDefinition, max_trials: int, fleet: FleetSlots | None = None) -> int:
    """Return how many search trials may be open (waiting or running) at once.

    With `parallelism: auto` a search that learns has as many trials open as the fleet has slots, and two more for each
    worker: one that it holds ready, one whose model is being written. But never more than an eighth of its budget, at
    least 4, so that most of its points are chosen knowing most of the results. Others keep a
    supply.

    Args:
        definition: Of the study.
        max_trials: Search trials it is to finish.
        fleet: What may train it; None, like a fleet without workers, leaves what the search can bear.
    """
    if definition.parallelism != "auto":
        return definition.parallelism
    if not definition.algorithm.learns:
        return 256
    bearable = max(_LEAST_OPEN, max_trials // 8)
    if fleet is None or fleet.n_slots is None or fleet.n_workers == 0:
        return bearable
    return min(bearable, max(_LEAST_OPEN, fleet.n_slots + _AHEAD_OF_WORKER * fleet.n_workers))
