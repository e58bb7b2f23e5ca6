"""Charts as SVG, for what is read without scripts: reports and single figures of a page.

They hold no styles: the page that shows them gives the classes `axis`, `grid`, `line`, `dot` and `bar` their colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import Markup

from api.web.formatting import scalar
from hpsearch.wording.figures import figure

Point = tuple[float, float]

WIDTH: Final = 640
HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 12, 44
_TICKS: Final = 5
_TEXT: Final = Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>')
_GRID: Final = Markup('<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>')
_AXIS: Final = Markup('<line class="axis" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>')
_LABEL: Final = Markup('<text class="label" transform="{}" text-anchor="middle">{}</text>')
_BAR: Final = Markup('<rect class="bar" x="{}" y="{}" width="{}" height="18"/>')
# More points than a line of this width can show are thinned out.
_MAX_POINTS: Final = 1500


@dataclass(frozen=True)
class Series:
    """Points of one kind.

    Attributes:
        kind: Joined by a line, by steps, or single dots.
        points: (x, y), finite; for lines in order of x.
        accent: 1 to 8, its place in the row of colours.
        name: For the legend; empty for none.
    """

    kind: Literal["line", "step", "dots"]
    points: Sequence[Point]
    accent: int = 1
    name: str = ""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: What it shows.
        low: Its first value; None takes the smallest of the points.
        high: Its last value; None takes the largest.
        log: Whether it is logarithmic; needs positive values.
        choices: Names of the places 0, 1, 2 …; empty for numbers.
    """

    label: str
    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[str, ...] = ()


def chart(series: Sequence[Series], x: Axis, y: Axis, *, title: str) -> Markup:
    """Return a drawing of some series over two axes.

    Args:
        series: Drawn in this order.
        x: The horizontal axis.
        y: The vertical axis.
        title: What it shows, for screen readers.
    """
    points = [point for one in series for point in one.points]
    place_x, marks_x = _scaled(x, [point[0] for point in points], _LEFT, WIDTH - _RIGHT)
    place_y, marks_y = _scaled(y, [point[1] for point in points], HEIGHT - _BOTTOM, _TOP)
    bottom, middle = HEIGHT - _BOTTOM, (_LEFT + WIDTH - _RIGHT) / 2
    parts = [
        _GRID.format(_LEFT, WIDTH - _RIGHT, _short(at)) + _TEXT.format(_LEFT - 6, _short(at + 4), "end", text)
        for at, text in marks_y
    ]
    parts += [_TEXT.format(_short(at), bottom + 16, "middle", text) for at, text in marks_x]
    parts.append(_AXIS.format(_LEFT, WIDTH - _RIGHT, bottom))
    parts += [_drawn(one, place_x, place_y) for one in series if one.points]
    parts.append(_LABEL.format(f"translate({middle} {HEIGHT - 6})", x.label))
    parts.append(_LABEL.format(f"translate(12 {(_TOP + bottom) / 2}) rotate(-90)", y.label))
    return _whole(parts, HEIGHT, title) + _legend(series)


def bars(items: Sequence[tuple[str, float]], *, title: str) -> Markup:
    """Return horizontal bars of shares from 0 to 1, with their names."""
    height, most = 26 * len(items) + 8, max((share for _, share in items), default=1.0) or 1.0
    parts: list[Markup] = []
    for i, (name, share) in enumerate(items):
        y, width = 4 + 26 * i, (WIDTH - 240) * share / most
        parts += [
            _TEXT.format(160, y + 14, "end", name),
            _BAR.format(168, y, _short(width)),
            _TEXT.format(_short(174 + width), y + 14, "start", f"{100 * share:.0f}\u202f%"),
        ]
    return _whole(parts, height, title)


def _whole(parts: Sequence[Markup], height: int, title: str) -> Markup:
    head = Markup('<svg class="drawing" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, height, title)
    return head + Markup("").join(parts) + Markup("</svg>")


def _legend(series: Sequence[Series]) -> Markup:
    named = [one for one in series if one.name]
    if len(named) < 2:  # noqa: PLR2004 - one series needs no name beside the title
        return Markup("")
    keys = Markup("").join(Markup('<span class="key s{}">{}</span> ').format(one.accent, one.name) for one in named)
    return Markup('<p class="keys">{}</p>').format(keys)


def _drawn(series: Series, place_x: Callable[[float], float], place_y: Callable[[float], float]) -> Markup:
    points = series.points
    if len(points) > _MAX_POINTS:
        points = [points[i * len(points) // _MAX_POINTS] for i in range(_MAX_POINTS)]
    at = [(_short(place_x(x)), _short(place_y(y))) for x, y in points]
    if series.kind == "dots":
        dots = Markup("").join(Markup('<circle cx="{}" cy="{}" r="3"/>').format(*one) for one in at)
        return Markup('<g class="dot s{}">{}</g>').format(series.accent, dots)
    steps = [f"M{at[0][0]} {at[0][1]}"]
    steps += [f"H{x}V{y}" if series.kind == "step" else f"L{x} {y}" for x, y in at[1:]]
    return Markup('<path class="line s{}" d="{}"/>').format(series.accent, "".join(steps))


def _scaled(
    axis: Axis, values: Sequence[float], start: float, end: float
) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    """Return where a value of an axis lies, and the marks along it with their texts."""
    if axis.choices:
        n = len(axis.choices)
        span = (end - start) / n
        return lambda value: start + (value + 0.5) * span, [
            (start + (i + 0.5) * span, name) for i, name in enumerate(axis.choices)
        ]
    low = min(values, default=0.0) if axis.low is None else axis.low
    high = max(values, default=1.0) if axis.high is None else axis.high
    if low == high:
        low, high = low - (abs(low) / 2 or 0.5), high + (abs(high) / 2 or 0.5)
    is_log = axis.log and low > 0
    turn: Callable[[float], float] = math.log10 if is_log else float
    first, last = turn(low), turn(high)

    def place(value: float) -> float:
        return start + (end - start) * (turn(value) - first) / (last - first)

    marks = _log_marks(first, last) if is_log else _marks(low, high)
    return place, [(place(mark), scalar(mark) if is_log else figure(mark, 3)) for mark in marks]


def _marks(low: float, high: float) -> list[float]:
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 5, 10) if nice * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def _log_marks(first: float, last: float) -> list[float]:
    steps = (1,) if last - first > 2.5 else (1, 3) if last - first > 1 else (1, 2, 5)  # noqa: PLR2004 - decades
    powers = range(math.floor(first), math.ceil(last) + 1)
    marks = [step * 10.0**power for power in powers for step in steps]
    return [mark for mark in marks if first - 1e-9 <= math.log10(mark) <= last + 1e-9]


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
