"""What a trial of each kind trains, what its value is, and which network it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean, pstdev

import keras

from hpsearch.data.prepare import Preparation
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.trial import Outcome
from workers.training.engine import Sink
from workers.training.failures import DivergedError, UntrainableError
from workers.training.fit import Fitted, Recipe, fit
from workers.training.judge import Judge, widest_of
from workers.training.network import DType
from workers.training.rows import Part, Prepared, StudyRows
from workers.training.schedule import Schedule
from workers.training.task import TrialTask
from workers.training.watch import Metrics, Watch


@dataclass(frozen=True)
class Source:
    """What a model file is made of.

    Attributes:
        fitted: Holds the network.
        preparation: That made its inputs.
        part: Rows on which the file is compared with the network.
        is_judged: Whether the network's score on `part` is the reported value; false when that is a mean over folds.
        prefix: Of the reported names of the metrics, such as `test_`.
        judged_on: The rows behind the value, for people.
        trained_on: The rows behind the weights, for people.
        n_training_rows: How many they are.
    """

    fitted: Fitted
    preparation: Preparation
    part: Part
    is_judged: bool
    prefix: str
    judged_on: str
    trained_on: str
    n_training_rows: int


@dataclass(frozen=True)
class Result:
    """A finished trial.

    Attributes:
        outcome: COMPLETE, without device time.
        source: Makes the network for the model file; may train it first.
    """

    outcome: Outcome
    source: Callable[[], Source]


def run_trial(task: TrialTask, study: StudyRows, sink: Sink, dtype: DType) -> Result:
    """Train the trial and return its result.

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
        recipe=Recipe(config, brief.task, brief.metric, brief.direction, seed, dtype),
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
    recipe: Recipe
    schedule: Schedule

    def watch(self, epochs_before: int = 0, fold: int | None = None, *, silent: bool = False) -> Watch:
        def report(measurement: object) -> None:
            del measurement

        return Watch(
            report=report if silent else lambda measurement: self.sink.epoch(self.task, measurement),
            should_stop=lambda: self.sink.should_stop(self.task),
            epochs_before=epochs_before,
            fold=fold,
            trial_seed=self.task.trial.seed,
            data_order_seed=self.task.study.data_order_seed,
        )

    def hold_out(self) -> Result:
        prepared = self.study.fold(0)
        fitted = fit(self.recipe, self.schedule, prepared, self.watch())
        outcome = Outcome(
            state="COMPLETE",
            value=fitted.best[self.recipe.metric],
            metrics=fitted.best,
            best_epoch=fitted.best_epoch,
            epochs=len(fitted.history),
            stop_reason=fitted.stop_reason,
        )
        source = _source(fitted, prepared, "", "the validation rows", "the training rows")
        return Result(outcome, lambda: source)

    def cross_validation(self) -> Result:
        epochs, best_epochs, bests, reasons = 0, [], [], []
        for number in range(self.study.n_folds):
            watch = self.watch(epochs, number + 1)
            fitted = fit(self.recipe, self.schedule, self.study.fold(number), watch, fold=number)
            epochs = watch.epochs
            best_epochs.append(fitted.best_epoch)
            bests.append(fitted.best)
            reasons.append(fitted.stop_reason)
            del fitted
            keras.backend.clear_session()
        metrics = _over_folds(bests)
        mean_best_epoch = max(1, round(fmean(best_epochs)))
        outcome = Outcome(
            state="COMPLETE",
            value=metrics[self.recipe.metric],
            metrics=metrics,
            best_epoch=mean_best_epoch,
            epochs=epochs,
            stop_reason="early_stopping" if "early_stopping" in reasons else "max_epochs",
        )
        return Result(outcome, lambda: self.on_all_rows(mean_best_epoch))

    def on_all_rows(self, n_epochs: int) -> Source:
        """Train the network of a cross-validated trial: on every row that is not a test row, without reports."""
        prepared = self.study.development(test=False)
        fitted = fit(self.recipe, replace(self.schedule, max_epochs=n_epochs), prepared, self.watch(silent=True))
        judged_on = f"the {self.study.n_folds} folds' validation rows, by the folds' own networks: a mean"
        trained_on = f"all rows that are not test rows, for the folds' mean best epoch, {n_epochs}"
        return _source(fitted, prepared, "", judged_on, trained_on)

    def refit(self) -> Result:
        n_epochs = self.task.trial.refit_epochs
        if n_epochs is None or n_epochs < 1:
            msg = f"a refit needs the number of epochs to train, at least 1, received {n_epochs}"
            raise UntrainableError(msg)
        if not self.study.n_test:
            msg = "a refit is judged by the test rows, but the study has none; raise split.test above 0"
            raise UntrainableError(msg)
        prepared = self.study.development(test=True)
        schedule = replace(self.schedule, max_epochs=n_epochs)
        fitted = fit(self.recipe, schedule, replace(prepared, held_out=None), self.watch())
        metrics = {f"test_{name}": value for name, value in self._test_metrics(fitted, prepared).items()}
        value = metrics[f"test_{self.recipe.metric}"]
        if value is None:
            msg = f"{self.recipe.metric} is undefined on the test rows; choose another metric, or change the split"
            raise UntrainableError(msg)
        outcome = Outcome(
            state="COMPLETE",
            value=value,
            metrics=metrics | fitted.best,
            best_epoch=n_epochs,
            epochs=len(fitted.history),
            stop_reason="max_epochs",
        )
        trained_on = f"the training and validation rows, for {n_epochs} epochs"
        source = _source(fitted, prepared, "test_", "the test rows", trained_on)
        return Result(outcome, lambda: source)

    def _test_metrics(self, fitted: Fitted, prepared: Prepared) -> Metrics:
        part = prepared.held_out or prepared.train
        judge = Judge(self.recipe.task, self.recipe.metric, prepared.preparation, part, widest_of(fitted.network))
        predictions = judge.predictions(fitted.network)
        if predictions is None:
            msg = "a prediction for the test rows was not finite"
            raise DivergedError(msg, len(fitted.history))
        return judge.score(predictions)


def _source(fitted: Fitted, prepared: Prepared, prefix: str, judged_on: str, trained_on: str) -> Source:
    return Source(
        fitted=fitted,
        preparation=prepared.preparation,
        part=prepared.held_out or prepared.train,
        is_judged=prepared.held_out is not None,
        prefix=prefix,
        judged_on=judged_on,
        trained_on=trained_on,
        n_training_rows=len(prepared.train.rows),
    )


def _over_folds(bests: list[Metrics]) -> Metrics:
    """Return mean and, as `<metric>_std`, population standard deviation of each metric that every fold has."""
    over: Metrics = {}
    for name in bests[0]:
        values = [value for best in bests if (value := best[name]) is not None]
        if len(values) == len(bests):
            over |= {name: fmean(values), f"{name}_std": pstdev(values)}
    return over
