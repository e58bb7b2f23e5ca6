"""Point 4: dropout masks depend on trial, layer and step alone, and train as Keras's own masks do.

Masks differ from Keras's, so curves do; their distributions must not. Seeds are compared in pairs (same initial
weights, same batches), so that little but the masks is left to differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.stats

from hpsearch.domain.training import Training
from hpsearch.domain.trial import Params
from workers.training.fused.verify import Finding
from workers.training.fused.verify.bench import Bench, Case, Curve, apart

RATE: Final = 0.4
WRONG: Final = 1.2
SAME_BOUND: Final = 1e-10
_TRAINING: Final = Training(max_epochs=12, early_stopping=None)


@dataclass(frozen=True)
class Comparison:
    """Paired differences of one score over seeds, fused less reference.

    Attributes:
        name: Of the score.
        low: Of the 90 % confidence interval of the mean difference.
        high: Of the same.
        bound: Equivalent means an interval within plus and minus this: half of what a rate 20 % too high does.
        wrong_low: Of the interval where the fused side has the wrong rate.
        wrong_high: Of the same.
    """

    name: str
    low: float
    high: float
    bound: float
    wrong_low: float
    wrong_high: float

    @property
    def is_equivalent(self) -> bool:
        """Whether the two agree (two one-sided tests at 5 %)."""
        return -self.bound <= self.low <= self.high <= self.bound

    @property
    def sees_wrong_rate(self) -> bool:
        """Whether the same test refuses a rate that is 20 % too high."""
        return not -self.bound <= self.wrong_low <= self.wrong_high <= self.bound


def compare(n_seeds: int) -> list[Comparison]:
    """Return the comparison of final training and validation loss over seeds, at least 2."""
    bench = Bench("digits", "float32")
    right, wrong = [[_case(seed, rate) for seed in range(n_seeds)] for rate in (RATE, RATE * WRONG)]
    curves = [bench.fused(right, 64), bench.fused(wrong, 64), [bench.reference(case) for case in right]]
    comparisons = []
    for name in ("train_loss", "loss"):
        fused, mistaken, reference = (np.array([_last(curve, name) for curve in side]) for side in curves)
        bound = abs(float((mistaken - fused).mean())) / 2
        comparisons.append(Comparison(name, *_interval(fused - reference), bound, *_interval(mistaken - reference)))
    return comparisons


def same_masks() -> list[Finding]:
    """Return how far trials with dropout are apart in programs of unlike shapes and slots, in float64.

    Bits differ, but a mask that depended on anything but (trial seed, layer, step) would be another training.
    """
    bench = Bench("iris")
    base: Params = {"dropout": RATE, "input_dropout": RATE / 4, "learning_rate": 0.002}
    chosen = [
        Case(base | {"layers": 2, "units": 12, "batch_size": 16}, 1, _TRAINING),
        Case(base | {"layers": 1, "units": 70, "batch_size": 24}, 2, _TRAINING),
    ]
    larger = Case(base | {"layers": 3, "units": 130, "batch_size": 40}, 3, _TRAINING)
    findings = []
    for case, among in zip(chosen, bench.fused([larger, *chosen], 4)[1:], strict=True):
        (alone,) = bench.fused([case], 1)
        what = (
            f"a trial of {case.config.units} units with dropout, in a program of its own and in a larger one, float64"
        )
        findings.append(Finding(4, what, apart(alone, among)["weights"], SAME_BOUND))
    return findings


def check(n_seeds: int = 40) -> list[Finding]:
    """Return the far end of each confidence interval, and whether the test would see a wrong rate."""
    findings = same_masks()
    for found in compare(n_seeds):
        far = max(abs(found.low), abs(found.high))
        what = f"mean final {found.name} over {n_seeds} seeds against Keras, far end of the 90 % interval"
        findings.append(Finding(4, what, far, found.bound))
        findings.append(
            Finding(4, f"a rate 20 % too high is seen in {found.name} (0: yes)", float(not found.sees_wrong_rate), 0.0)
        )
    return findings


def _case(seed: int, rate: float) -> Case:
    params: Params = {
        "layers": 2,
        "units": 48,
        "dropout": rate,
        "input_dropout": rate / 4,
        "learning_rate": 0.002,
        "batch_size": 64,
    }
    return Case(params, seed, _TRAINING)


def _last(curve: Curve, name: str) -> float:
    value = curve.history[-1][name]
    return float("nan") if value is None else value


def _interval(differences: np.ndarray) -> tuple[float, float]:
    mean = float(differences.mean())
    reach = float(scipy.stats.t.ppf(0.95, len(differences) - 1) * scipy.stats.sem(differences))
    return mean - reach, mean + reach
