"""Trials, their attempts, what is measured in them and how they end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.domain.strict import Count, Float, Frozen, Lenient, Name, Positive, Scalar, Text, at_most

MAX_METRICS: Final = 64
# Of one attempt, over all its epochs: about 50 MB in the database.
MAX_STORED_VALUES: Final = 2_400_000
MAX_DETAIL_CHARACTERS: Final = 16 * 1024
# What the server keeps of a detail, whatever alphabet it is in.
MAX_DETAIL_BYTES: Final = 16 * 1024

MetricName = Annotated[Name, StringConstraints(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_./-]*$")]
# A value that is not finite is null: SQL has no portable NaN.
Metrics = Annotated[dict[MetricName, Float | None], Field(max_length=MAX_METRICS), at_most(MAX_METRICS)]

Params = dict[str, Scalar]

Cause = Literal[
    "diverged",
    "oom",
    "training_error",
    "crashed",
    "stalled",
    "shutdown",
    "data_mismatch",
    "data_missing",
    "disk_full",
    "infrastructure",
    "lost",
    "lost_repeatedly",
    "cancelled",
    "unsupported",
]
StopReason = Literal["early_stopping", "max_epochs", "pruned", "diverged", "cancelled"]


class Measurement(Frozen):
    """Every metric of one epoch of one attempt.

    Attributes:
        epoch: Counted from 1; with k folds the folds follow one another, so up to k * max_epochs.
        metrics: By name; plain names are of the validation split, `train_…` of the training split.
    """

    epoch: Positive
    metrics: Metrics


class Outcome(Frozen):
    """How an attempt ended, as its worker reports it.

    Attributes:
        state: COMPLETE, INFEASIBLE (diverged, oom) and PRUNED are results; FAILED is an error in training or, for the
            causes `crashed` and `stalled`, in the infrastructure; RELEASED gives the trial back unharmed. PRUNED is
            refused unless the study has a pruner.
        value: The objective at the best epoch, finite; for COMPLETE always, otherwise when known.
        metrics: All metrics at the best epoch.
        best_epoch: Epoch of `value`, at most `epochs`; the mean over folds.
        cause: Why it did not complete. It decides what becomes of the trial, whatever `state` stands beside it:
            diverged and oom are INFEASIBLE; training_error, crashed and stalled are FAILED; shutdown, data_mismatch,
            data_missing, disk_full and infrastructure give the trial back.
        detail: Traceback or message, cut to 16 KiB.
        device_seconds: Device time the attempt used; a member of a pack pays its share.
        stop_reason: Why training ended, for COMPLETE.
    """

    state: Literal["COMPLETE", "PRUNED", "INFEASIBLE", "FAILED", "RELEASED"]
    value: Float | None = None
    metrics: Metrics = {}
    best_epoch: Count | None = None
    epochs: Count | None = None
    cause: Cause | None = None
    detail: Annotated[Text, Field(max_length=64 * 1024 * 1024)] | None = None
    device_seconds: Annotated[Float, Field(ge=0, le=1e12)] = 0.0
    stop_reason: StopReason | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Outcome:
        if self.cause in ("lost", "lost_repeatedly"):
            msg = f"the cause {self.cause} is the server's to give; use crashed or stalled"
            raise ValueError(msg)
        if self.state in ("COMPLETE", "PRUNED") and self.cause is not None:
            msg = f"a {self.state} outcome has no cause, received {self.cause}"
            raise ValueError(msg)
        if self.best_epoch is not None and self.epochs is not None and self.best_epoch > self.epochs:
            msg = f"best_epoch is one of the epochs trained, received {self.best_epoch} of {self.epochs}"
            raise ValueError(msg)
        if self.state == "COMPLETE" and self.value is None:
            msg = "a COMPLETE outcome needs a finite value; a trial that diverged is INFEASIBLE with cause diverged"
            raise ValueError(msg)
        return self


class Attempt(Lenient):
    """One execution of a trial by one worker."""

    attempt: int
    worker_id: str
    worker_name: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    state: str | None = None
    cause: str | None = None
    detail: str | None = None
    device_seconds: float = 0.0


class Trial(Lenient):
    """One configuration of a study and what became of it.

    Attributes:
        trial_id: Unique everywhere.
        number: Counts all trials of the study, from 0.
        search_index: Counts search trials of the study, from 0; None for the other kinds.
        grid_index: Position in the grid; None unless the study is a grid.
        attempt: Number of the current attempt, 0 before the first claim.
        seed: Decides initial weights, shuffling and dropout.
        value: The objective at the best epoch; None until COMPLETE.
        n_weights: Trainable weights of the network.
        duration_s: Seconds from the accepted attempt's start to its end.
        parent_id: The trial this one repeats, for confirmation and refit.
    """

    trial_id: str
    study_id: str
    number: int
    kind: TrialKind
    state: TrialState
    search_index: int | None = None
    grid_index: int | None = None
    attempt: int = 0
    params: Params
    seed: int
    n_weights: int | None = None
    value: float | None = None
    metrics: dict[str, float | None] = {}
    best_epoch: int | None = None
    epochs: int | None = None
    stop_reason: str | None = None
    cause: str | None = None
    detail: str | None = None
    device_seconds: float = 0.0
    duration_s: float | None = None
    worker_id: str | None = None
    parent_id: str | None = None
    has_model: bool = False
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
