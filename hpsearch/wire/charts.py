"""What charts are drawn from, as it travels: importances, points for parallel coordinates, time lines, curves."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from hpsearch.domain.strict import Lenient, Scalar


class Importance(Lenient):
    """How much one parameter decided whether a result was among the best.

    Attributes:
        share: Of all parameters' importance together, from 0 to 1; the shares add up to 1.
        n_results: Results in which the parameter was active.
    """

    name: str
    share: float
    n_results: int


class Importances(Lenient):
    """The importance of every searched parameter, the most important first.

    Attributes:
        method: PED-ANOVA: it compares the best tenth of the results (at least five of them) with all.
        n_results: Finished search results there are.
        n_used: Results it was computed from; an even draw when there are more than can be used.
        reason: Why there are no items, None when there are some.
    """

    items: tuple[Importance, ...] = ()
    method: Literal["ped_anova"] = "ped_anova"
    n_results: int
    n_used: int = 0
    reason: str | None = None


class ChartColumn(Lenient):
    """One axis.

    Attributes:
        kind: `number` or `choice`; the values of a choice have no order but that of `choices`.
        log: Whether the axis is logarithmic.
        integer: Whether the numbers are whole.
        low: Smallest value the space admits; None for choices.
        high: Largest value the space admits; None for choices.
        choices: What a choice can be; None for numbers.
    """

    name: str
    kind: Literal["number", "choice"]
    log: bool = False
    integer: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[Scalar, ...] | None = None


class ChartRow(Lenient):
    """One result: its values in the order of the columns, None where a parameter was not active."""

    trial_id: str
    number: int
    kind: str
    rank: int
    value: float
    values: tuple[Scalar | None, ...]


class Parallel(Lenient):
    """Columns and rows for parallel coordinates, slices and contours.

    Attributes:
        columns: The searched parameters.
        rows: The best first.
        metric: What `value` is.
        direction: Which way it is better.
        n_results: Ranked results there are.
        sample: What `rows` hold of them, in a sentence.
    """

    columns: tuple[ChartColumn, ...]
    rows: tuple[ChartRow, ...]
    metric: str
    direction: str
    n_results: int
    sample: str


class TimelineItem(Lenient):
    """One attempt at one trial on one worker.

    Attributes:
        ended_at: None while it runs.
        state: How it ended; None while it runs.
    """

    trial_id: str
    number: int
    kind: str
    attempt: int
    worker_id: str
    worker_name: str
    started_at: datetime
    ended_at: datetime | None = None
    state: str | None = None
    cause: str | None = None


class Timeline(Lenient):
    """What the workers did for a study, oldest first.

    Attributes:
        n_trials: Trials begun so far; `items` hold the attempts of the newest of them.
    """

    items: tuple[TimelineItem, ...]
    n_trials: int
