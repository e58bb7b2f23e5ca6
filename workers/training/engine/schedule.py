"""Schedule: epochs, early stopping and learning-rate decay of a trial, its own parameters over the study's."""

from __future__ import annotations

from dataclasses import dataclass

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.training import EarlyStopping, LrDecay, Training


@dataclass(frozen=True)
class Schedule:
    """What governs the epochs of one trial.

    Attributes:
        max_epochs: At most, at least 1.
        early_stopping: None trains all epochs; the best weights are kept all the same.
        lr_decay: None keeps the learning rate.
    """

    max_epochs: int
    early_stopping: EarlyStopping | None
    lr_decay: LrDecay | None

    @classmethod
    def of(cls, config: MlpConfig, training: Training) -> Schedule:
        """Return the schedule of a trial.

        `early_stopping_patience`, `lr_decay_factor` and `lr_decay_patience` of the network replace the study's; where
        the study has no early stopping or decay, giving one of them switches it on with defaults for the rest. A
        factor of 1 switches the decay off.
        """
        return cls(training.max_epochs, _stopping(config, training.early_stopping), _decay(config, training.lr_decay))


def _stopping(config: MlpConfig, shared: EarlyStopping | None) -> EarlyStopping | None:
    if config.early_stopping_patience is None:
        return shared
    return (shared or EarlyStopping()).model_copy(update={"patience": config.early_stopping_patience})


def _decay(config: MlpConfig, shared: LrDecay | None) -> LrDecay | None:
    own = {"factor": config.lr_decay_factor, "patience": config.lr_decay_patience}
    given = {name: value for name, value in own.items() if value is not None}
    if given.get("factor") == 1:
        return None
    if shared is None and not given:
        return None
    return (shared or LrDecay()).model_copy(update=given)
