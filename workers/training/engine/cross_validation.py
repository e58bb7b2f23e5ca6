"""k-fold cross-validation: a trial's outcome over its folds, and the network trained on all rows that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean, pstdev

from hpsearch.domain.trial import Outcome
from workers.training.engine.epoch_callbacks import EpochCallbacks, Metrics
from workers.training.engine.fitted import Fit, Fitted, Recipe, StopReason
from workers.training.engine.rows import Prepared, StudyRows
from workers.training.engine.schedule import Schedule


def over_folds(bests: Sequence[Metrics]) -> Metrics:
    """Return mean and, as `<metric>_std`, population standard deviation of each metric that every fold has."""
    over: Metrics = {}
    for name in bests[0]:
        values = [value for best in bests if (value := best[name]) is not None]
        if len(values) == len(bests):
            over |= {name: fmean(values), f"{name}_std": pstdev(values)}
    return over


def mean_best_epoch(best_epochs: Sequence[int]) -> int:
    """Return the mean of the folds' best epochs, at least 1."""
    return max(1, round(fmean(best_epochs)))


def outcome_of_folds(
    metric: str,
    bests: Sequence[Metrics],
    best_epochs: Sequence[int],
    stop_reasons: Sequence[StopReason | None],
    n_epochs: int,
) -> Outcome:
    """Return the outcome of a trial whose folds are trained, without device time.

    Args:
        metric: The objective.
        bests: Metrics of each fold's best epoch; of one fold, a hold-out split, they are the trial's own.
        best_epochs: From 1, of each fold.
        stop_reasons: Of each fold.
        n_epochs: Of all folds together.
    """
    metrics = bests[0] if len(bests) == 1 else over_folds(bests)
    return Outcome(
        state="COMPLETE",
        value=metrics[metric],
        metrics=metrics,
        best_epoch=mean_best_epoch(best_epochs),
        epochs=n_epochs,
        stop_reason="early_stopping" if "early_stopping" in stop_reasons else "max_epochs",
    )


def fit_on_all_rows(
    fit: Fit,
    recipe: Recipe,
    schedule: Schedule,
    study: StudyRows,
    *,
    n_epochs: int,
    data_order_seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[Fitted, Prepared]:
    """Return a network trained on every row that is not a test row, without reports, and these rows.

    Args:
        fit: Trains it.
        recipe: Of the trial.
        schedule: Of the trial; its number of epochs is replaced.
        study: The rows.
        n_epochs: At least 1.
        data_order_seed: The study's.
        should_stop: Answers whether to drop the trial.
    """
    prepared = study.development(test=False)
    callbacks = EpochCallbacks(
        report=lambda _: None,
        should_stop=should_stop,
        epochs_before=0,
        fold=None,
        trial_seed=recipe.seed,
        data_order_seed=data_order_seed,
    )
    return fit(recipe, replace(schedule, max_epochs=n_epochs), prepared, callbacks), prepared
