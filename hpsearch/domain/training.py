"""The training settings all trials of a study share: epochs, early stopping, learning-rate decay."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from hpsearch.domain.strict import Float, Frozen, Int, Seconds

MAX_EPOCHS: Final = 100_000


class EarlyStopping(Frozen):
    """Stop when the objective has not improved on the validation split, and go back to the best weights.

    Attributes:
        patience: Epochs without improvement (the look-ahead) before the trial stops, 1 to 10,000.
        min_delta: How much the objective must change to count as an improvement, at least 0, in the metric's unit.
    """

    patience: Annotated[Int, Field(ge=1, le=10_000)] = 10
    min_delta: Annotated[Float, Field(ge=0)] = 0.0


class LrDecay(Frozen):
    """Multiply the learning rate when the validation loss stops improving.

    Attributes:
        factor: Multiplier, above 0 to below 1; 0.5 halves.
        patience: Epochs without improvement before each multiplication, 1 to 10,000.
        floor: The learning rate never falls below this, at least 0.
    """

    factor: Annotated[Float, Field(gt=0, lt=1)] = 0.5
    patience: Annotated[Int, Field(ge=1, le=10_000)] = 4
    floor: Annotated[Float, Field(ge=0)] = 1e-7


class Training(Frozen):
    """Limits and schedules every trial of a study shares.

    Attributes:
        max_epochs: Passes over the training split at most, 1 to 100,000; early stopping usually ends sooner.
        early_stopping: None trains all epochs (the best weights are still kept).
        lr_decay: None keeps the learning rate constant.
        stall_timeout_s: Seconds without any progress after which a worker kills the trial's process.
    """

    max_epochs: Annotated[Int, Field(ge=1, le=MAX_EPOCHS)] = 100
    early_stopping: EarlyStopping | None = EarlyStopping()
    lr_decay: LrDecay | None = None
    stall_timeout_s: Seconds = 600.0
