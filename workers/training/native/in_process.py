"""Training trials in the caller's own process, without a worker around them and without model files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hpsearch.data.prepare import Preparation
from hpsearch.data.table import Table
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.trial import Outcome, Params
from hpsearch.wire.claims import ClaimedTrial, StudyBrief
from workers.devices import available_bytes
from workers.training.engine.contract import Sink
from workers.training.engine.cross_validation import fit_on_all_rows
from workers.training.engine.failures import outcome_of
from workers.training.engine.fitted import Recipe
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.rows import StudyRows, as_float32
from workers.training.engine.schedule import Schedule
from workers.training.engine.task import TrialTask
from workers.training.engine.trial_kinds import run_trial
from workers.training.native.fit import fit
from workers.training.native.kernel_store import prepare_kernels
from workers.training.native.memory import MemoryGate

_DTYPE: DType = "float32"


class InProcessTrainer:
    """Trains the trials of one study; may be used from several threads at once, for the kernels release Python's lock.

    Args:
        table: All rows.
        study: Objective, split and schedules.
        kernels: Folder to keep compiled kernels in where the package's own can not be written; None for none.

    Raises:
        InvalidStudyError: The split does not work on these rows.
        ModuleNotFoundError: numba is not installed.
    """

    def __init__(self, table: Table, study: StudyBrief, *, kernels: Path | None = None) -> None:
        prepare_kernels(_DTYPE, kernels, _say_nothing)
        self._study = study
        self._rows = StudyRows(as_float32(table), study.task, study.split, _DTYPE)
        self._memory = MemoryGate((available_bytes() or 2**32) * 3 // 4)

    @property
    def widths(self) -> tuple[int, int]:
        """Width of the prepared input, and of the output."""
        preparation = self._rows.fold(0).preparation
        return preparation.n_inputs, preparation.n_outputs

    def train(self, number: int, params: Params, seed: int, sink: Sink) -> Outcome:
        """Return how a trial ended, by the rules of every worker; its epochs go to the sink.

        Raises:
            StoppedError: The sink wants it dropped.
        """
        trial = ClaimedTrial(
            trial_id=str(number), study_id=self._study.study_id, number=number, kind=TrialKind.SEARCH, attempt=1,
            params=params, seed=seed,
        )  # fmt: skip
        # The rows are here already: no file is read.
        task = TrialTask(trial, self._study, Path(), self._rows.table.profile)
        try:
            return run_trial(task, self._rows, sink, partial(fit, memory=self._memory), _DTYPE).outcome
        except Exception as error:
            outcome = outcome_of(error)
            if outcome.state == "RELEASED":
                raise
            return outcome

    def train_on_all_rows(self, params: Params, seed: int, n_epochs: int) -> tuple[Arrays, Preparation]:
        """Return the weights of a network trained on all rows but the test rows, and what prepares its inputs.

        Args:
            params: Of the network.
            seed: Of its trial.
            n_epochs: At least 1.

        Returns:
            Weights in the order of `keras.Model.get_weights`.
        """
        config = MlpConfig.from_params(params)
        study = self._study
        fitted, prepared = fit_on_all_rows(
            partial(fit, memory=self._memory),
            Recipe(config, study.task, study.objective, seed, _DTYPE),
            Schedule.of(config, study.training),
            self._rows,
            n_epochs=n_epochs,
            data_order_seed=study.data_order_seed,
        )
        return fitted.weights(), prepared.preparation


def _say_nothing(_sentence: str) -> None:
    pass
