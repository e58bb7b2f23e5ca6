"""The figures of a set: medians, ratios to the best Keras arm, and whether both sides' scores allow a comparison."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import Final

from benchmarks.training_arms.launch import KERAS_ARMS, Run
from benchmarks.training_arms.noise import is_noise

# Trials that a comparison of scores needs.
LEAST_COMPARED: Final = 4


@dataclass(frozen=True)
class Figures:
    """What an arm came to, for the whole list.

    Attributes:
        trials_per_h: Median.
        slowest_per_h: Of the repeats.
        fastest_per_h: Of the repeats.
        wall_s: Median, for the whole list.
        cpu_s_per_trial: Median.
        peak_bytes: Largest of the repeats.
        device_peak_bytes: Likewise, on a GPU.
        n_measured: Trials trained in each repeat; the rest is scaled.
    """

    trials_per_h: float
    slowest_per_h: float
    fastest_per_h: float
    wall_s: float
    cpu_s_per_trial: float
    peak_bytes: int
    device_peak_bytes: int
    n_measured: int


def figures(runs: Sequence[Run], n_trials: int) -> Figures:
    """Return the figures of an arm's repeats.

    Args:
        runs: At least one.
        n_trials: Of the whole list.
    """
    walls_s = [run.wall_for(n_trials) for run in runs]
    rates = [3600 * n_trials / wall_s for wall_s in walls_s]
    return Figures(
        trials_per_h=median(rates),
        slowest_per_h=min(rates),
        fastest_per_h=max(rates),
        wall_s=median(walls_s),
        cpu_s_per_trial=median(run.cpu_for(n_trials) / n_trials for run in runs),
        peak_bytes=max(run.peak_bytes for run in runs),
        device_peak_bytes=max(run.device_peak_bytes for run in runs),
        n_measured=runs[0].n_trials,
    )


def best_keras(table: Mapping[str, Figures]) -> str | None:
    """Return the Keras arm with the most trials per hour; None where none was measured."""
    measured = [arm for arm in table if arm in KERAS_ARMS]
    return max(measured, key=lambda arm: table[arm].trials_per_h) if measured else None


def shared_trials(runs: Mapping[str, Sequence[Run]]) -> list[int]:
    """Return the numbers of the trials that every arm trained and none saw diverge."""
    scored = [
        {number for number, (score, _) in run.results.items() if score is not None}
        for arm in runs.values()
        for run in arm
    ]
    return sorted(set.intersection(*scored))


def scores_of(runs: Sequence[Run], numbers: Sequence[int]) -> list[float]:
    """Return the score of each of the trials, its mean over the repeats."""
    return [fmean(float(run.results[number][0] or 0.0) for run in runs) for number in numbers]


@dataclass(frozen=True)
class Comparison:
    """Two arms' scores of the same trials.

    Attributes:
        mean_difference: First less second.
        standard_error: Of the mean difference: what different seeds alone do to it.
        best_difference: Of the best trials.
        spread: Standard deviation of one trial's difference, the best trials of both sides left out.
        is_alike: Whether seed noise explains both differences.
    """

    mean_difference: float
    standard_error: float
    best_difference: float
    spread: float
    is_alike: bool


def compare(one: Sequence[float], other: Sequence[float], n_validation: int) -> Comparison:
    """Return how the scores of the same trials differ between two arms.

    The trials are the same and the seeds are not, so what is left of a difference after pairing is seed noise: the mean
    may be three standard errors from zero, the best three spreads, and both one validation row more.

    Args:
        one: Scores, at least `LEAST_COMPARED`.
        other: Of the same trials, in the same order.
        n_validation: Rows behind each score.
    """
    differences = [left - right for left, right in zip(one, other, strict=True)]
    error = stdev(differences) / math.sqrt(len(differences))
    peaks = {one.index(max(one)), other.index(max(other))}
    spread = stdev(difference for place, difference in enumerate(differences) if place not in peaks)
    mean, best, row = fmean(differences), max(one) - max(other), 1 / n_validation
    is_alike = is_noise(mean, error, row) and is_noise(best, spread, row)
    return Comparison(mean, error, best, spread, is_alike)


def ratios(numerators: Sequence[Run], denominators: Sequence[Run], n_trials: int) -> float:
    """Return how many times as fast the first arm is: the median over the repeats, neighbours in time compared."""
    pairs = zip(numerators, denominators, strict=True)
    return statistics.median(other.wall_for(n_trials) / one.wall_for(n_trials) for one, other in pairs)
