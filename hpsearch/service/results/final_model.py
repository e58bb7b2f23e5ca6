"""The final model of a study: which trial's model is handed out, and the figure to believe about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from hpsearch.domain.lifecycle import STUDY_FINAL, TrialKind, TrialState
from hpsearch.domain.objective import Objective
from hpsearch.domain.selection import Selection
from hpsearch.domain.study import ResolvedStudy
from hpsearch.domain.trial import Trial
from hpsearch.lru_cache import LruCache
from hpsearch.service.definitions import resolved_of
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction
from hpsearch.wire.final_model import BaselineResult, Believe, FinalModel
from hpsearch.wording.trials import baseline_name

_Z: Final = 1.959964  # of the normal distribution, for 95 %

# By study and its version, which every result raises.
_found: LruCache[tuple[str, int], FinalModel | None] = LruCache(1024)


def handed_out(tx: Transaction, study: StudyRecord) -> Trial | None:
    """Return the trial whose model the study hands out; None while no trial has a model.

    The newest refit of the best trial, else the best trial itself; if neither has a model, the newest refit there is.
    """
    if study.best_trial_id is None:
        return None
    best = tx.trials.by_id(study.best_trial_id)
    refits = [one for one in tx.trials.of_kind(study.id, TrialKind.REFIT) if one.state is TrialState.COMPLETE]
    newest_first = refits[::-1]
    candidates = [*(one for one in newest_first if one.parent_id == best.trial_id), best, *newest_first]
    return next((one for one in candidates if one.has_model), None)


def selection_of(tx: Transaction, resolved: ResolvedStudy, chosen: Trial) -> Selection:
    """Return how a trial looked to the search that chose it."""
    confirmed = tx.trials.confirmation_of(chosen.trial_id) or {}
    return Selection(
        chosen=chosen.number,
        chosen_at=chosen.value if chosen.value is not None else math.nan,
        n_validation=resolved.n_validation,
        mean=confirmed.get("mean"),
        n_seeds=confirmed.get("n_seeds"),
        interval=confirmed.get("interval"),
    )


def final_model(tx: Transaction, study: StudyRecord) -> FinalModel | None:
    """Return the final model of a study; None until it has ended, or if it ended without a model."""
    if study.state not in STUDY_FINAL or study.best_trial_id is None:
        return None
    return _found.get((study.uid, study.version), lambda: _find(tx, study))


def _find(tx: Transaction, study: StudyRecord) -> FinalModel | None:
    trial = handed_out(tx, study)
    if trial is None:
        return None
    resolved = resolved_of(study)
    is_refit = trial.kind is TrialKind.REFIT
    chosen = tx.trials.get(trial.parent_id) if is_refit and trial.parent_id is not None else trial
    selection = selection_of(tx, resolved, chosen)
    test = trial.value if is_refit else None
    value, believe = _to_believe(test, selection)
    baselines = _baselines(tx, study, resolved.objective)
    return FinalModel(
        **selection.model_dump(),
        trial_id=trial.trial_id,
        number=trial.number,
        kind=trial.kind.value,
        params=trial.params,
        n_weights=trial.n_weights,
        metric=resolved.metric,
        direction=resolved.direction,
        value=value,
        believe=believe,
        test=test,
        n_test=resolved.n_test,
        test_interval=accuracy_interval(test, resolved.n_test) if resolved.metric == "accuracy" else None,
        optimism=None if believe == "chosen_at" else resolved.objective.gain(selection.chosen_at, value),
        baselines=baselines,
        beaten_by_baseline=_winning_baseline(chosen, selection, baselines, resolved.objective),
    )


def _to_believe(test: float | None, selection: Selection) -> tuple[float, Believe]:
    if test is not None:
        return test, "test"
    if selection.mean is not None:
        return selection.mean, "mean"
    return selection.chosen_at, "chosen_at"


def _baselines(tx: Transaction, study: StudyRecord, objective: Objective) -> tuple[BaselineResult, ...]:
    found = [
        BaselineResult(
            trial_id=one.trial_id,
            number=one.number,
            name=baseline_name(one.params),
            value=one.value,
            has_model=one.has_model,
        )
        for one in tx.trials.of_kind(study.id, TrialKind.BASELINE)
        if one.state is TrialState.COMPLETE and one.value is not None
    ]
    return tuple(sorted(found, key=lambda one: objective.sort_key(one.value)))


def _winning_baseline(
    chosen: Trial, selection: Selection, baselines: Sequence[BaselineResult], objective: Objective
) -> BaselineResult | None:
    if not baselines:
        return None
    if chosen.kind is TrialKind.BASELINE:
        return next((one for one in baselines if one.trial_id == chosen.trial_id), None)
    own = selection.chosen_at if selection.mean is None else selection.mean
    return None if objective.better(own, baselines[0].value) else baselines[0]


def accuracy_interval(accuracy: float | None, n_rows: int | None) -> tuple[float, float] | None:
    """Return the 95 % interval of an accuracy on `n_rows` rows: Wilson's score interval; None when either is missing.

    Wilson, E. B. (1927), Probable inference, the law of succession, and statistical inference.
    """
    if accuracy is None or not n_rows:
        return None
    spread = _Z * math.sqrt(accuracy * (1 - accuracy) / n_rows + _Z**2 / (4 * n_rows**2))
    centre, scale = accuracy + _Z**2 / (2 * n_rows), 1 + _Z**2 / n_rows
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
