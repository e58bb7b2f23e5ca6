"""TrialRun: one trial of the fused engine, its folds side by side, reported in the reference's order."""

from __future__ import annotations

from collections.abc import Callable

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.trial import Measurement, Outcome
from workers.training.engine.contract import Sink
from workers.training.engine.cross_validation import fit_on_all_rows, mean_best_epoch, outcome_of_folds
from workers.training.engine.failures import DivergedError, UntrainableError, outcome_of
from workers.training.engine.fitted import Fitted, Recipe
from workers.training.engine.member import Member
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.rows import StudyRows
from workers.training.engine.schedule import Schedule
from workers.training.engine.task import TrialTask
from workers.training.engine.trial_kinds import Source, all_rows_source, split_source
from workers.training.keras_networks.network import build_network
from workers.training.reference.evaluator import outputs_of
from workers.training.reference.fit import fit


class TrialRun:
    """A trial whose folds train side by side, told as if they had followed one another.

    Args:
        task: The trial.
        study: Its rows.
        dtype: Of weights and computation.

    Raises:
        pydantic.ValidationError: The parameters are not those of a network.

    Attributes:
        members: One for each fold.
        outcome: None until it has ended.
        is_dropped: Whether the sink no longer wants it.
        device_s: Its share of the device's time so far.
    """

    def __init__(self, task: TrialTask, study: StudyRows, dtype: DType) -> None:
        brief = task.study
        self.task = task
        self.study = study
        self.config = MlpConfig.from_params(task.trial.params)
        self.outcome: Outcome | None = None
        self.is_dropped = False
        self.device_s = 0.0
        self._dtype: DType = dtype
        self._schedule = Schedule.of(self.config, brief.training)
        self._recipe = Recipe(self.config, brief.task, brief.objective, task.trial.seed, dtype)
        self.members = tuple(
            Member(
                self.config,
                self._schedule,
                objective=brief.objective,
                trial_seed=task.trial.seed,
                data_order_seed=brief.data_order_seed,
                fold=fold,
                dtype=dtype,
            )
            for fold in range(study.n_folds)
        )
        # Where the telling stands: in which fold, how many of its epochs, how many epochs before that fold.
        self._fold, self._reported, self._before = 0, 0, 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be reported of it."""
        return self.is_dropped or self.outcome is not None

    @property
    def n_reported(self) -> int:
        """Epochs reported so far."""
        return self._before + self._reported

    def needs(self, member: Member) -> bool:
        """Return whether a member's further epochs matter: not once an earlier fold has failed."""
        return not self.is_over and not any(
            other.is_over and other.stop_reason is None for other in self.members[: member.fold]
        )

    def advance(self, sink: Sink) -> None:
        """Report what is due, fold after fold, and set `outcome` or `is_dropped` when the trial has ended."""
        while not self.is_over:
            member = self.members[self._fold]
            if self._reported < len(member.history):
                self._report(member, sink)
            elif not member.is_over:
                return
            elif member.stop_reason is None:
                self.outcome = outcome_of(self._error(member))
            elif self._fold + 1 < len(self.members):
                self._fold, self._reported, self._before = self._fold + 1, 0, self._before + self._reported
            else:
                self.outcome = self._complete()

    def _report(self, member: Member, sink: Sink) -> None:
        metrics = member.history[self._reported]
        self._reported += 1
        fold = {"fold": float(self._fold + 1)} if len(self.members) > 1 else {}
        sink.epoch(self.task, Measurement(epoch=self.n_reported, metrics=metrics | fold))
        is_last = self._reported == len(member.history)
        if (not is_last or (member.trouble is None and not member.is_undefined)) and sink.should_stop(self.task):
            self.is_dropped = True

    def _error(self, member: Member) -> Exception:
        if member.trouble is not None:
            return DivergedError(member.trouble, self.n_reported)
        metric = self.task.study.metric
        return UntrainableError(
            f"{metric} is undefined on the validation rows; choose another metric, or change the split"
        )

    def _complete(self) -> Outcome:
        return outcome_of_folds(
            self.task.study.metric,
            [member.history[member.best_epoch - 1] for member in self.members],
            [member.best_epoch for member in self.members],
            [member.stop_reason for member in self.members],
            self.n_reported,
        )

    def source(self, weights: Callable[[], Arrays]) -> Source:
        """Return what the model file is made of; a cross-validated trial trains its network first, with plain Keras.

        Args:
            weights: Gives the trained weights in Keras's order; not asked for a cross-validated trial.
        """
        return self._on_all_rows() if len(self.members) > 1 else self._of_weights(weights())

    def _of_weights(self, weights: Arrays) -> Source:
        prepared = self.study.fold(0)
        member = self.members[0]
        network = build_network(
            self.config,
            n_inputs=prepared.preparation.n_inputs,
            n_outputs=prepared.preparation.n_outputs,
            seed=self.task.trial.seed,
            dtype=self._dtype,
        )
        network.set_weights(weights)
        fitted = Fitted(
            tuple(member.history),
            member.best_epoch,
            member.stop_reason or "max_epochs",
            weights=lambda: weights,
            outputs=lambda inputs: outputs_of(network, inputs),
        )
        return split_source(fitted, prepared, self._dtype)

    def _on_all_rows(self) -> Source:
        fitted, prepared = fit_on_all_rows(
            fit,
            self._recipe,
            self._schedule,
            self.study,
            n_epochs=mean_best_epoch([member.best_epoch for member in self.members]),
            data_order_seed=self.task.study.data_order_seed,
        )
        return all_rows_source(fitted, prepared, self._dtype, len(self.members))
