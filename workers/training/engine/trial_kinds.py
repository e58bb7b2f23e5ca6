"""Training a trial of any kind (hold-out, k-fold, refit) with any engine: its value and the model it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.trial import Outcome
from workers.training.engine.contract import Sink
from workers.training.engine.cross_validation import fit_on_all_rows, mean_best_epoch, outcome_of_folds
from workers.training.engine.epoch_callbacks import EpochCallbacks, Metrics
from workers.training.engine.failures import DivergedError, UntrainableError
from workers.training.engine.fitted import Fit, Fitted, Recipe, StopReason
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.rows import Prepared, StudyRows
from workers.training.engine.schedule import Schedule
from workers.training.engine.scores import score
from workers.training.engine.task import TrialTask

# Training and validation rows of the split; all rows that are not test rows; these with the test rows to judge by.
Division = Literal["split", "development", "refit"]


@dataclass(frozen=True)
class Source:
    """What a model file is made of; can be sent to another process.

    Attributes:
        weights: In the order of `keras.Model.set_weights`.
        division: Which rows the network was trained on, and which it is compared on.
        outputs: Raw outputs of the trained network for the rows it is compared on, (n, n_outputs).
        dtype: Of the weights.
        best_epoch: From 1.
        is_judged: Whether the network's score on these rows is the reported value, not a mean over folds.
        prefix: Of the reported names of the metrics, such as `test_`.
        judged_on: The rows behind the value, for people.
        trained_on: The rows behind the weights, for people.
    """

    weights: Arrays
    division: Division
    outputs: npt.NDArray[Any]
    dtype: DType
    best_epoch: int
    is_judged: bool
    prefix: str
    judged_on: str
    trained_on: str


@dataclass(frozen=True)
class Result:
    """A finished trial.

    Attributes:
        outcome: COMPLETE, without device time.
        source: Makes what the model file is made of; may train it first.
    """

    outcome: Outcome
    source: Callable[[], Source]


def rows_of(study: StudyRows, division: Division) -> Prepared:
    """Return the rows a model was trained on, with those it is compared on as held-out rows, if they are others."""
    return study.fold(0) if division == "split" else study.development(test=division == "refit")


def run_trial(task: TrialTask, study: StudyRows, sink: Sink, fit: Fit, dtype: DType) -> Result:
    """Train the trial, its folds one after another, and return its result.

    Args:
        task: The trial.
        study: Its rows.
        sink: Receives its epochs.
        fit: Trains one network.
        dtype: Of weights and computation.

    Raises:
        DivergedError: It diverged.
        StoppedError: The sink wants it dropped.
        UntrainableError: It can not be trained or scored as asked.
    """
    config = MlpConfig.from_params(task.trial.params)
    brief, seed = task.study, task.trial.seed
    run = _Run(
        task=task,
        study=study,
        sink=sink,
        fit=fit,
        recipe=Recipe(config, brief.task, brief.objective, seed, dtype),
        schedule=Schedule.of(config, brief.training),
    )
    if task.trial.kind == TrialKind.REFIT:
        return run.refit()
    return run.hold_out() if study.n_folds == 1 else run.cross_validation()


@dataclass(frozen=True)
class _Run:
    task: TrialTask
    study: StudyRows
    sink: Sink
    fit: Fit
    recipe: Recipe
    schedule: Schedule

    def callbacks(self, epochs_before: int = 0, fold: int | None = None) -> EpochCallbacks:
        return EpochCallbacks(
            report=lambda measurement: self.sink.epoch(self.task, measurement),
            should_stop=lambda: self.sink.should_stop(self.task),
            epochs_before=epochs_before,
            fold=fold,
            trial_seed=self.task.trial.seed,
            data_order_seed=self.task.study.data_order_seed,
        )

    def hold_out(self) -> Result:
        prepared = self.study.fold(0)
        fitted = self.fit(self.recipe, self.schedule, prepared, self.callbacks())
        outcome = outcome_of_folds(
            self.recipe.objective.metric, [fitted.best], [fitted.best_epoch], [fitted.stop_reason], len(fitted.history)
        )
        return Result(outcome, lambda: split_source(fitted, prepared, self.recipe.dtype))

    def cross_validation(self) -> Result:
        n_epochs = 0
        ends: list[tuple[Metrics, int, StopReason]] = []
        for number in range(self.study.n_folds):
            callbacks = self.callbacks(n_epochs, number + 1)
            fitted = self.fit(self.recipe, self.schedule, self.study.fold(number), callbacks, fold=number)
            n_epochs = callbacks.epochs
            # The networks themselves go: they may be large.
            ends.append((fitted.best, fitted.best_epoch, fitted.stop_reason))
        bests, best_epochs, stop_reasons = zip(*ends, strict=True)
        outcome = outcome_of_folds(self.recipe.objective.metric, bests, best_epochs, stop_reasons, n_epochs)
        return Result(outcome, lambda: self.on_all_rows(mean_best_epoch(best_epochs)))

    def on_all_rows(self, n_epochs: int) -> Source:
        fitted, prepared = fit_on_all_rows(
            self.fit,
            self.recipe,
            self.schedule,
            self.study,
            n_epochs=n_epochs,
            data_order_seed=self.task.study.data_order_seed,
            should_stop=lambda: self.sink.should_stop(self.task),
        )
        return all_rows_source(fitted, prepared, self.recipe.dtype, self.study.n_folds)

    def refit(self) -> Result:
        n_epochs = self.task.trial.refit_epochs
        if n_epochs is None or n_epochs < 1:
            msg = f"a refit needs the number of epochs to train, at least 1, received {n_epochs}"
            raise UntrainableError(msg)
        if not self.study.n_test:
            msg = "a refit is judged by the test rows, but the study has none; raise split.test above 0"
            raise UntrainableError(msg)
        prepared = rows_of(self.study, "refit")
        schedule = replace(self.schedule, max_epochs=n_epochs)
        fitted = self.fit(self.recipe, schedule, replace(prepared, held_out=None), self.callbacks())
        outputs = _outputs(fitted, prepared)
        metrics: Metrics = {f"test_{name}": value for name, value in self._test_metrics(outputs, prepared).items()}
        metric = self.recipe.objective.metric
        value = metrics[f"test_{metric}"]
        if value is None:
            msg = f"{metric} is undefined on the test rows; choose another metric, or change the split"
            raise UntrainableError(msg)
        outcome = Outcome(
            state="COMPLETE",
            value=value,
            metrics=metrics | fitted.best,
            best_epoch=n_epochs,
            epochs=len(fitted.history),
            stop_reason="max_epochs",
        )
        source = Source(
            weights=fitted.weights(),
            division="refit",
            outputs=outputs,
            dtype=self.recipe.dtype,
            best_epoch=fitted.best_epoch,
            is_judged=True,
            prefix="test_",
            judged_on="the test rows",
            trained_on=f"the training and validation rows, for {n_epochs} epochs",
        )
        return Result(outcome, lambda: source)

    def _test_metrics(self, outputs: npt.NDArray[Any], prepared: Prepared) -> Metrics:
        if not np.isfinite(outputs).all():
            msg = "a prediction for the test rows was not finite"
            raise DivergedError(msg, self.task.trial.refit_epochs or 0)
        part = prepared.held_out or prepared.train
        return score(
            self.recipe.task,
            prepared.preparation.predictions(outputs.astype(np.float64)),
            part.truth,
            target_scale=prepared.preparation.target_scale,
            objective=self.recipe.objective.metric,
        )


def split_source(fitted: Fitted, prepared: Prepared, dtype: DType) -> Source:
    """Return what the model of a trial on a hold-out split is made of."""
    return Source(
        weights=fitted.weights(),
        division="split",
        outputs=_outputs(fitted, prepared),
        dtype=dtype,
        best_epoch=fitted.best_epoch,
        is_judged=True,
        prefix="",
        judged_on="the validation rows",
        trained_on="the training rows",
    )


def all_rows_source(fitted: Fitted, prepared: Prepared, dtype: DType, n_folds: int) -> Source:
    """Return what the model of a cross-validated trial is made of: a network trained on all rows but the test rows."""
    return Source(
        weights=fitted.weights(),
        division="development",
        outputs=_outputs(fitted, prepared),
        dtype=dtype,
        best_epoch=fitted.best_epoch,
        is_judged=False,
        prefix="",
        judged_on=f"the {n_folds} folds' validation rows, by the folds' own networks: a mean",
        trained_on=f"all rows that are not test rows, for the folds' mean best epoch, {len(fitted.history)}",
    )


def _outputs(fitted: Fitted, prepared: Prepared) -> npt.NDArray[Any]:
    return fitted.outputs((prepared.held_out or prepared.train).inputs)
