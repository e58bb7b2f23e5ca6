"""After the search: training the top again with other seeds, ranking by the mean, and refitting the winner."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Final

from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.domain.metrics import Metric
from hpsearch.domain.task import TASKS
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.service.ids import derived_seed
from hpsearch.service.queue import trial_rows
from hpsearch.service.queue.trial_rows import NewTrial
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy

_RESAMPLES: Final = 1000


def create_confirmations(tx: Transaction, study: LockedStudy) -> int:
    """Create s trials with new seeds for each of the k best search trials and return how many.

    A study that was extended, or whose failed trials were tried again, comes here more than once: what was confirmed
    before, or still runs, is not trained again.
    """
    definition = definition_of(study.record)
    known = {
        (one.parent_id, one.seed)
        for one in tx.trials.of_kind(study.id, TrialKind.CONFIRMATION)
        if one.state not in (TrialState.CANCELLED, TrialState.FAILED)
    }
    # By their own values: what was confirmed before stands at the head of the board, even of better ones found since.
    larger = resolved_of(study.record).objective.larger_is_better
    top = tx.trials.best_of_search(study.id, definition.confirm.top_k, larger_is_better=larger)
    wanted: list[NewTrial] = []
    for parent_id, parent in zip(top, tx.trials.by_ids(top), strict=True):
        for repeat in range(definition.confirm.seeds):
            seed = derived_seed(definition.algorithm.seed, "confirmation", parent.number, repeat)
            if (parent.trial_id, seed) not in known:
                wanted.append(NewTrial(parent.params, TrialKind.CONFIRMATION, parent_id=parent_id, seed=seed))
    return len(trial_rows.insert(tx, study, wanted))


def rank(tx: Transaction, study: LockedStudy) -> None:
    """Put the confirmed trials at the head of the board, ordered by their means over the new seeds.

    The seed that won the search is left out of the mean: it was chosen for its luck.
    """
    repeats = tx.trials.repeats_of(study.id)
    if not repeats:
        return
    resolved = resolved_of(study.record)
    sort_key = resolved.objective.sort_key
    metric = TASKS[resolved.task].metrics[resolved.metric]
    ranks = rank_intervals({trial: [sort_key(v) for v in values] for trial, values in repeats.items()}, seed=study.id)
    for trial_id, values in repeats.items():
        study.trials.confirm(
            trial_id,
            mean=fmean(values),
            n_seeds=len(values),
            interval=mean_interval(values, metric),
            rank_interval=ranks[trial_id],
        )
    best_id = tx.trials.best_ids(study.id, 1)[0]
    study.set_best(best_id, tx.trials.by_id(best_id).value)


def mean_interval(values: Sequence[float], metric: Metric) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean by Student's t, cut to what the metric can be; None below two values."""
    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    from scipy.stats import t  # noqa: PLC0415 - slow to import and needed once per study

    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return max(metric.low, fmean(values) - half), min(metric.high, fmean(values) + half)


def rank_intervals(scores: Mapping[int, Sequence[float]], *, seed: int) -> dict[int, tuple[int, int]]:
    """Return the 95 % interval of each entry's rank by the mean, smaller scores first, from a bootstrap over seeds."""
    rng = random.Random(seed)  # noqa: S311 - a bootstrap, not a secret
    found: dict[int, list[int]] = {entry: [] for entry in scores}
    for _ in range(_RESAMPLES):
        means = {entry: fmean(rng.choices(values, k=len(values))) for entry, values in scores.items()}
        in_order = sorted(means.values())
        for entry, mean in means.items():
            found[entry].append(1 + bisect_left(in_order, mean))
    cut = _RESAMPLES // 40
    return {entry: (sorted(ranks)[cut], sorted(ranks)[-1 - cut]) for entry, ranks in found.items()}


def create_refit(tx: Transaction, study: LockedStudy) -> int:
    """Create the trial that trains the winner on training and validation rows; return how many were created.

    A winner that was refitted before is not refitted again: its test rows were opened, and stay opened once.
    """
    if study.record.best_trial_id is None:
        return 0
    winner = tx.trials.by_id(study.record.best_trial_id)
    if any(
        one.parent_id == winner.trial_id and one.state is TrialState.COMPLETE
        for one in tx.trials.of_kind(study.id, TrialKind.REFIT)
    ):
        return 0
    epochs = [
        t.best_epoch
        for t in tx.trials.of_kind(study.id, TrialKind.CONFIRMATION)
        if t.parent_id == winner.trial_id and t.best_epoch
    ]
    refit_epochs = round(fmean(epochs)) if epochs else winner.best_epoch
    if definition_of(study.record).split.folds:
        # Folds follow one another in the count of epochs; the winner's own best epoch is already one fold's mean.
        refit_epochs = winner.best_epoch
    wanted = NewTrial(
        winner.params,
        TrialKind.REFIT,
        parent_id=study.record.best_trial_id,
        refit_epochs=max(1, refit_epochs or 1),
        seed=winner.seed,
    )
    return len(trial_rows.insert(tx, study, [wanted]))
