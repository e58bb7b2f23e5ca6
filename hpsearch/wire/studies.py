"""Envelopes around studies: checking, previewing, changing and steering them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from hpsearch.domain.strict import Frozen, Int, Lenient, NewName, Text, at_most
from hpsearch.domain.study import MAX_TRIALS
from hpsearch.domain.trial import Params


class Problem(Lenient):
    """One thing wrong, or odd, with a definition.

    Attributes:
        field: Dotted path such as `space.units.low`; empty for the whole.
        message: One sentence.
    """

    field: str
    message: str


class ValidateReply(Lenient):
    """Whether a definition would be accepted."""

    valid: bool
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


class SampledConfiguration(Lenient):
    """One configuration the study might try."""

    params: Params
    n_weights: int


class PreviewReply(Lenient):
    """What a study would do, without creating it.

    Attributes:
        grid_size: Feasible grid points; None for other algorithms.
        max_trials: Search trials it would finish.
        sample: Some configurations.
        min_weights: Fewest weights among the sample.
        max_weights: Most weights among the sample.
        estimated_device_seconds: A rough guess of the cost, from weights, rows and epochs; None when unknown.
    """

    valid: bool
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    task: str | None = None
    grid_size: int | None = None
    max_trials: int | None = None
    sample: tuple[SampledConfiguration, ...] = ()
    min_weights: int | None = None
    max_weights: int | None = None
    estimated_device_seconds: float | None = None


Label = Annotated[NewName, StringConstraints(max_length=64)]


class StudyPatch(Frozen):
    """Changes to a study that touch no trial's result; what is left out stays.

    Attributes:
        priority: Studies of higher priority are claimed first, -1,000 to 1,000.
    """

    name: NewName | None = None
    priority: Annotated[Int, Field(ge=-1000, le=1000)] | None = None
    notes: Annotated[Text, StringConstraints(max_length=10_000)] | None = None
    labels: Annotated[dict[Label, NewName], Field(max_length=32)] | None = None


class ExtendRequest(Frozen):
    """More search trials for a study, running or ended."""

    max_trials: Annotated[Int, Field(ge=1, le=MAX_TRIALS, description="The new total of finished search trials.")]


class CloneRequest(Frozen):
    """A new study with the same definition."""

    name: NewName | None = None


# Every parameter of a space, with a width for each layer.
MAX_POINT: Final = 128


class EnqueueRequest(Frozen):
    """A point to try next; it counts as a search trial."""

    params: Annotated[Params, at_most(MAX_POINT)]


class RetryFailedReply(Lenient):
    """How many trials were put back."""

    n_retried: int
