"""The messages between a supervisor and its trainer processes; a ticket, the supervisor's number, names an attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.strict import Lenient
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.wire.claims import ClaimedTrial, StudyBrief


class Train(Lenient):
    """Train these trials of one study, beside whatever is in training already.

    Attributes:
        trials: At least one, by the ticket that names the attempt in all that follows.
        content: The verified data file.
        model_folder: Where to write a trial's model, as `TICKET.keras`.
        threshold: A finished trial must beat this for its model to be kept; None keeps it in any case.
    """

    op: Literal["train"] = "train"
    trials: dict[int, ClaimedTrial]
    study: StudyBrief
    profile: DatasetProfile
    content: Path
    model_folder: Path
    threshold: float | None = None


class Drop(Lenient):
    """Stop training at the next epoch; nothing more is wanted of the attempt."""

    op: Literal["drop"] = "drop"
    ticket: int


class Threshold(Lenient):
    """The value a trial of a study must beat for its model to be kept has changed."""

    op: Literal["threshold"] = "threshold"
    study_id: str
    threshold: float | None


class Leave(Lenient):
    """Train what was sent to its end, then end the process."""

    op: Literal["leave"] = "leave"


class Ready(Lenient):
    """The imports are done.

    Attributes:
        n_gpus: GPUs TensorFlow can use in this process.
        engine: What trains, with versions, for the log.
        n_slots: Trials it trains at the same time.
        capacity: Trials the engine can usefully hold at once, those in training included.
        silence_s: Seconds for which compiling may keep the engine silent, beyond the time an epoch may take.
        pack_bytes: Memory that trials in training may take together, which is no leak.
    """

    event: Literal["ready"] = "ready"
    n_gpus: int
    engine: str
    n_slots: Annotated[int, Field(ge=1)] = 1
    capacity: Annotated[int, Field(ge=1)] = 1
    silence_s: float = 0.0
    pack_bytes: int = 0


class LogMessage(Lenient):
    """A sentence for the log: what the engine plans, and why."""

    event: Literal["said"] = "said"
    text: str


class StartFailed(Lenient):
    """The process can not train at all; it ends after this."""

    event: Literal["broken"] = "broken"
    message: str


class Epoch(Lenient):
    """One epoch is done."""

    event: Literal["epoch"] = "epoch"
    ticket: int
    measurement: Measurement


class Finished(Lenient):
    """An attempt has ended with an outcome, and left the process.

    Attributes:
        model: The file written, if any.
    """

    event: Literal["finished"] = "finished"
    ticket: int
    outcome: Outcome
    model: Path | None = None


class Dropped(Lenient):
    """A dropped attempt has left the process; there is room for another."""

    event: Literal["gone"] = "gone"
    ticket: int


class Slots(Lenient):
    """How many trials the engine takes has changed: it depends on the studies at hand."""

    event: Literal["slots"] = "slots"
    n_slots: Annotated[int, Field(ge=1)]
    capacity: Annotated[int, Field(ge=1)]


class Compiling(Lenient):
    """How many programs the engine is compiling, while trials wait for them, has changed."""

    event: Literal["compiling"] = "compiling"
    n_programs: Annotated[int, Field(ge=0)]


class Trained(Lenient):
    """An attempt has left its slot; its outcome follows when its model file is written."""

    event: Literal["trained"] = "trained"
    ticket: int


class Idle(Lenient):
    """Nothing is left to train."""

    event: Literal["idle"] = "idle"


Command = Train | Drop | Threshold | Leave
Event = Ready | LogMessage | StartFailed | Epoch | Slots | Compiling | Trained | Finished | Dropped | Idle

COMMANDS: Final[TypeAdapter[Command]] = TypeAdapter(Annotated[Command, Field(discriminator="op")])
EVENTS: Final[TypeAdapter[Event]] = TypeAdapter(Annotated[Event, Field(discriminator="event")])
