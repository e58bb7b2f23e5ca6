"""Whether two sides' studies score alike, so that their speeds may be compared."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev, variance
from typing import Final

from benchmarks.study_arms.arms import StudyRun
from benchmarks.study_arms.plan import Plan
from benchmarks.training_arms.noise import is_noise, verdict

_RESAMPLES: Final = 400


@dataclass(frozen=True)
class Alike:
    """Two sides' scores.

    Attributes:
        best_difference: Mean over the repeats of the best scores, one side less the other.
        best_error: What chance alone does to it.
        mean_difference: Of the mean scores of all search trials.
        mean_error: What chance alone does to it.
        is_alike: Whether chance explains the differences.
        note: A sentence about what was left out of the verdict; empty when nothing was.
    """

    best_difference: float
    best_error: float
    mean_difference: float
    mean_error: float
    is_alike: bool
    note: str = ""

    def sentence(self) -> str:
        """Return the differences and the verdict."""
        return (
            f"best {self.best_difference:+.4g} (chance: {self.best_error:.2g}), mean {self.mean_difference:+.4g} "
            f"(chance: {self.mean_error:.2g}): {verdict(is_alike=self.is_alike)}.{self.note}"
        )


def compare(ours: Sequence[StudyRun], others: Sequence[StudyRun], plan: Plan) -> Alike:
    """Return how the scores of two arms differ.

    The two sides try other points and draw other seeds. What that does to the best score of a study is the larger of
    two estimates: how the best differs between the repeats, and how it differs if the study's scores are drawn again.
    For the mean it is the scatter of the scores, or of the repeats' means.

    In random search both sides draw from the same distribution, so that their means differ by training alone. In
    Bayesian search the mean says where a search looks, too: there a mean that is better than the other side's does not
    stand against a comparison, and is said.

    Args:
        ours: Repeats of one arm, at least 1, each with at least two scores.
        others: Of the other.
        plan: Of the study.
    """
    grain = 1 / plan.n_validation if plan.metric == "accuracy" else 0.0
    best = fmean(run.best for run in ours) - fmean(run.best for run in others)
    best_error = math.hypot(_best_error(ours, maximize=plan.maximize), _best_error(others, maximize=plan.maximize))
    mean = fmean(run.mean for run in ours) - fmean(run.mean for run in others)
    mean_error = math.hypot(_mean_error(ours), _mean_error(others))
    is_mean_noise, is_better = is_noise(mean, mean_error, grain), (mean > 0) == plan.maximize
    note = ""
    if not is_mean_noise and is_better and plan.algorithm == "bayesian":
        is_mean_noise, note = True, " The better mean is the search's own doing and not held against the comparison."
    return Alike(best, best_error, mean, mean_error, is_noise(best, best_error, grain) and is_mean_noise, note)


def _best_error(runs: Sequence[StudyRun], *, maximize: bool) -> float:
    draw, pick = random.Random(0), max if maximize else min
    redrawn = fmean(
        variance([pick(draw.choices(run.scores, k=len(run.scores))) for _ in range(_RESAMPLES)]) for run in runs
    )
    between = variance([run.best for run in runs]) if len(runs) > 1 else 0.0
    return math.sqrt(max(redrawn, between) / len(runs))


def _mean_error(runs: Sequence[StudyRun]) -> float:
    scores = [score for run in runs for score in run.scores]
    scatter = stdev(scores) / math.sqrt(len(scores))
    between = stdev([run.mean for run in runs]) / math.sqrt(len(runs)) if len(runs) > 1 else 0.0
    return max(scatter, between)
