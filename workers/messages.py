"""What a supervisor and a trainer process say to each other; a ticket, the supervisor's number, names an attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.strict import Lenient
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.wire.claims import ClaimedTrial, StudyBrief


class Train(Lenient):
    """Train one trial.

    Attributes:
        ticket: Names the attempt in all that follows.
        content: The verified data file.
        model_path: Where to write the model.
        threshold: A finished trial must beat this for its model to be kept; None keeps it in any case.
    """

    op: Literal["train"] = "train"
    ticket: int
    trial: ClaimedTrial
    study: StudyBrief
    profile: DatasetProfile
    content: Path
    model_path: Path
    threshold: float | None = None


class Drop(Lenient):
    """Stop training at the next epoch; nothing more is wanted of the attempt."""

    op: Literal["drop"] = "drop"
    ticket: int


class Threshold(Lenient):
    """The value an attempt must beat for its model to be kept has changed."""

    op: Literal["threshold"] = "threshold"
    ticket: int
    threshold: float | None


class Leave(Lenient):
    """End the process; sent between trials."""

    op: Literal["leave"] = "leave"


class Ready(Lenient):
    """The imports are done.

    Attributes:
        n_gpus: GPUs TensorFlow can use in this process.
        engine: What trains, with versions, for the log.
    """

    event: Literal["ready"] = "ready"
    n_gpus: int
    engine: str


class Broken(Lenient):
    """The process can not train at all; it ends after this."""

    event: Literal["broken"] = "broken"
    message: str


class Epoch(Lenient):
    """One epoch is done."""

    event: Literal["epoch"] = "epoch"
    ticket: int
    measurement: Measurement


class Finished(Lenient):
    """An attempt has ended with an outcome.

    Attributes:
        model: The file written, if any.
    """

    event: Literal["finished"] = "finished"
    ticket: int
    outcome: Outcome
    model: Path | None = None


class Idle(Lenient):
    """The attempt has left the process, finished or dropped; the next may come."""

    event: Literal["idle"] = "idle"
    ticket: int


Command = Train | Drop | Threshold | Leave
Event = Ready | Broken | Epoch | Finished | Idle

COMMANDS: Final[TypeAdapter[Command]] = TypeAdapter(Annotated[Command, Field(discriminator="op")])
EVENTS: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
