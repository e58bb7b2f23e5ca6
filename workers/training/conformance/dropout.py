"""Dropout trains as Keras's does: masks differ, so curves do; their distributions must not.

Seeds are compared in pairs (same initial weights, same batches), so that little but the masks is left to differ.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.stats

from hpsearch.domain.training import Training
from hpsearch.domain.trial import Params
from workers.training.conformance import Finding
from workers.training.conformance.arena import Arena, Case, TrialRecord
from workers.training.engine.contract import Engine

RATE: Final = 0.4
WRONG: Final = 1.2
_TRAINING: Final = Training(max_epochs=12, early_stopping=None)


def dropout(arena: Arena, engine: Engine, truth: Engine, n_seeds: int = 40) -> list[Finding]:
    """Return how far final losses are from the reference's on average, and whether a wrong rate would be seen.

    Two one-sided tests at 5 % (Schuirmann 1987): the 90 % interval of the mean difference must lie within half of what
    a rate 20 % too high does.

    Args:
        arena: Has the data.
        engine: In float32.
        truth: The reference in float32.
        n_seeds: At least 2.
    """
    right, wrong = [[_case(seed, rate) for seed in range(n_seeds)] for rate in (RATE, RATE * WRONG)]
    records, mistaken = arena.train(engine, "digits", right), arena.train(engine, "digits", wrong)
    expected = arena.truth(truth, "digits", right)
    findings = []
    for name in ("train_loss", "loss"):
        ours, theirs, off = (np.array([_last(one, name) for one in side]) for side in (records, expected, mistaken))
        bound = abs(float((off - ours).mean())) / 2
        low, high = _interval(ours - theirs)
        wrong_low, wrong_high = _interval(off - theirs)
        is_seen = not -bound <= wrong_low <= wrong_high <= bound
        what = f"mean final {name} over {n_seeds} seeds against Keras, far end of the 90 % interval"
        findings.append(Finding(what, max(abs(low), abs(high)), bound))
        findings.append(Finding(f"a rate 20 % too high is seen in {name} (0: yes)", float(not is_seen), 0.0))
    return findings


def _case(seed: int, rate: float) -> Case:
    params: Params = {
        "layers": 2, "units": 48, "dropout": rate, "input_dropout": rate / 4, "learning_rate": 0.002, "batch_size": 64,
    }  # fmt: skip
    return Case(params, seed, _TRAINING)


def _last(record: TrialRecord, name: str) -> float:
    value = record.history[-1][name] if record.history else None
    return float("nan") if value is None else value


def _interval(differences: np.ndarray) -> tuple[float, float]:
    mean = float(differences.mean())
    reach = float(scipy.stats.t.ppf(0.95, len(differences) - 1) * scipy.stats.sem(differences))
    return mean - reach, mean + reach
