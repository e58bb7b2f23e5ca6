"""Sparklines: how the best value of a study improved, as the path of a small drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 120
HEIGHT: Final = 28
_MARGIN: Final = 3.0


@dataclass(frozen=True)
class Sparkline:
    """A drawing of `WIDTH` by `HEIGHT`.

    Attributes:
        path: Steps from the first result to the newest.
        x: Of the newest.
        y: Of the newest.
    """

    path: str
    x: float
    y: float


def sparkline(improvements: Sequence[tuple[int, float]], n_results: int) -> Sparkline | None:
    """Return the drawing of a study's best value so far; None before the first result.

    Args:
        improvements: (number of results until then, value) of each improvement, in order.
        n_results: Results until now; the line goes on to there.
    """
    if not improvements:
        return None
    values = [value for _, value in improvements]
    low, span = min(values), max(values) - min(values)
    last = max(n_results, improvements[-1][0], 2)

    def x_of(n: int) -> float:
        return round(_MARGIN + (WIDTH - 2 * _MARGIN) * (n - 1) / (last - 1), 1)

    def y_of(value: float) -> float:
        share = (value - low) / span if span else 0.5
        return round(HEIGHT - _MARGIN - (HEIGHT - 2 * _MARGIN) * share, 1)

    steps = [f"M{x_of(improvements[0][0])} {y_of(values[0])}"]
    for n, value in improvements[1:]:
        steps.append(f"H{x_of(n)}V{y_of(value)}")
    steps.append(f"H{x_of(last)}")
    return Sparkline("".join(steps), x_of(last), y_of(values[-1]))
