"""Formatting: figures, durations and instants as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup

from hpsearch.wording.figures import DASH, figure

_SIZES: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


def count(value: float | None) -> str:
    """Return a whole number with commas between its thousands, such as `12,345`."""
    return DASH if value is None else f"{value:,.0f}"


def scalar(value: Any, digits: int = 4) -> str:
    """Return one value of a parameter as it is written in a study file, a real number with so many digits."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return DASH if value is None else str(value)


def percent(fraction: float | None) -> str:
    """Return a fraction as `42 %`."""
    return DASH if fraction is None else f"{100 * fraction:.0f}\u202f%"


def duration(seconds: float | None) -> str:
    """Return seconds as `850 ms`, `12 s`, `3 min 20 s`, `2 h 05 min` or `3 d 4 h`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}\u202fms"
    if seconds < _MINUTE_S:
        return f"{seconds:.0f}\u202fs"
    whole = round(seconds)
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}\u202fmin {whole % _MINUTE_S:02d}\u202fs"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}\u202fh {whole % _HOUR_S // _MINUTE_S:02d}\u202fmin"
    return f"{whole // _DAY_S}\u202fd {whole % _DAY_S // _HOUR_S}\u202fh"


def roughly(seconds: float | None) -> str:
    """Return an estimate as `about 12 min`: coarse enough not to change with every look at it."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < _MINUTE_S:
        return "under a minute"
    steps = ((_HOUR_S, _MINUTE_S, "min"), (2 * _DAY_S, _HOUR_S, "h"), (math.inf, _DAY_S, "d"))
    unit_s, unit = next((unit_s, unit) for below, unit_s, unit in steps if seconds < below)
    return f"about {math.ceil(seconds / unit_s)}\u202f{unit}"


def size(n_bytes: float | None) -> str:
    """Return bytes as `1.4 MB`."""
    if n_bytes is None:
        return DASH
    value, unit = float(n_bytes), 0
    while value >= 1000 and unit < len(_SIZES) - 1:  # noqa: PLR2004 - of a kilobyte
        value, unit = value / 1000, unit + 1
    return f"{value:.0f}\u202f{_SIZES[unit]}" if unit == 0 else f"{value:.3g}\u202f{_SIZES[unit]}"


def time(at: datetime | None, style: str = "relative") -> str:
    """Return an instant as a `<time>` that a script shows in the viewer's zone; in UTC for those without scripts.

    Args:
        at: Aware; None gives a dash.
        style: `relative` ("3 minutes ago"), `instant` (date and time) or `clock` (the time of day).
    """
    if at is None:
        return DASH
    utc = at.astimezone(UTC)
    machine = utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    exact, short = f"{utc:%Y-%m-%d %H:%M:%S} UTC", f"{utc:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" data-time="{}" title="{}">{}</time>').format(machine, style, exact, short)


def words(name: str | None) -> str:
    """Return a code name as words: `max_trials` as `max trials`."""
    return "" if name is None else name.replace("_", " ")


def sentence(clause: str) -> str:
    """Return a clause, such as the detail of a problem, as a sentence."""
    said = clause.strip()
    return f"{said[:1].upper()}{said[1:]}" + ("" if said.endswith((".", "?", "!", "\u2026")) else ".")


def coded(text: str) -> str:
    """Return a sentence of ours as a page shows it: what stands between backticks is code; all of it is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return text
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def breakable(name: str) -> Markup:
    """Return a code name, escaped, that may be broken behind each underscore."""
    return Markup("_<wbr>").join(name.split("_"))


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "count": count,
    "figure": figure,
    "scalar": scalar,
    "percent": percent,
    "duration": duration,
    "roughly": roughly,
    "size": size,
    "time": time,
    "words": words,
    "sentence": sentence,
    "coded": coded,
    "breakable": breakable,
}
