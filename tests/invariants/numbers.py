"""I12: the best trial is the best, and every number is finite."""

from __future__ import annotations

import math
from collections.abc import Iterator

from hpsearch.domain.lifecycle import TrialState
from hpsearch.storage.records import StudyRecord
from tests.invariants.audit import TrialFacts
from tests.invariants.facts import Facts, Violation, name


def best_is_best(facts: Facts) -> Iterator[Violation]:
    """I12: a study's best trial is the one that a look at all of them finds."""
    for study in facts.studies.values():
        ranked = [
            trial
            for trial in facts.of_study.get(study.id, ())
            if trial.state == TrialState.COMPLETE and trial.kind in ("search", "baseline") and trial.value is not None
        ]
        wrong = _wrong_best(study, ranked, facts)
        if wrong is not None:
            yield Violation("I12", f"study {study.id}: {wrong}")


def _wrong_best(study: StudyRecord, ranked: list[TrialFacts], facts: Facts) -> str | None:
    if study.best_trial_id is None or study.best_value is None:
        return f"it has {len(ranked)} results and no best trial" if ranked else None
    best = facts.trials.get(study.best_trial_id)
    if best not in ranked or best.value != study.best_value:
        return f"its best trial {study.best_trial_id} is none of its results, or not of value {study.best_value}"
    if any(trial.tier == 0 for trial in ranked):
        return None  # ranked by means over seeds, which are not the values of single trials
    turn = -1.0 if study.resolved["direction"] == "maximize" else 1.0
    wanted = min(turn * float(trial.value or 0.0) for trial in ranked)
    if turn * study.best_value != wanted:
        return f"its best value is {study.best_value}, a look at all finds {turn * wanted}"
    scores = [trial.score for trial in ranked if trial.score != turn * float(trial.value or 0.0)]
    return f"its board is ordered by {scores[:5]}, which are not the values" if scores else None


def numbers_are_finite(facts: Facts) -> Iterator[Violation]:
    """I12: no NaN and no infinity anywhere; a COMPLETE trial has a value, a diverged one has none."""
    for trial in facts.trials.values():
        result = facts.results.get(trial.id)
        numbers = [trial.value, trial.score, trial.device_seconds, trial.lease_expires_at]
        numbers += [] if result is None else [result.value, *result.metrics.values()]
        if any(number is not None and not math.isfinite(number) for number in numbers):
            yield Violation("I12", f"{name(trial)}: a number is not finite: {numbers}")
        if trial.state == TrialState.COMPLETE and trial.value is None:
            yield Violation("I12", f"{name(trial)}: it is COMPLETE without a value")
        if trial.state == TrialState.INFEASIBLE and trial.value is not None:
            yield Violation("I12", f"{name(trial)}: it is INFEASIBLE with the value {trial.value}")
