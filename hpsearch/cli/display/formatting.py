"""Formatting for the terminal: numbers, durations, sizes and parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from hpsearch.domain.layer_widths import SHARED, layer_of
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Params
from hpsearch.wording.figures import figure

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_TENTHS_BELOW_S: Final = 10
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_KILO: Final = 1000


def number(value: float | None, digits: int = 5) -> str:
    """Return a measured number with that many significant digits; a dash for None."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.{digits}g}"


def duration(seconds: float | None) -> str:
    """Return a duration such as `45 s`, `3 m 20 s` or `2 h 05 m`; a dash for None."""
    if seconds is None:
        return "-"
    whole = max(0, round(seconds))
    if seconds < _TENTHS_BELOW_S:
        return f"{max(seconds, 0):.1f} s"
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} m {whole % _MINUTE_S:02d} s"
    if whole < 2 * _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S:02d} m"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S:02d} h"


def size(n_bytes: float) -> str:
    """Return a size such as `612 B`, `1.4 MB`; decimal units."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < _KILO:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= _KILO
    return f"{n_bytes:.1f} TB"


def ago(at: datetime, now: datetime | None = None) -> str:
    """Return how long ago an instant was."""
    elapsed_s = ((now or datetime.now(UTC)) - at).total_seconds()
    return f"{duration(elapsed_s)} ago"


def score(value: float | None) -> str:
    """Return the value of a metric as everywhere in the product, such as `0.8500`; a dash for None."""
    return "-" if value is None else figure(value)


def whole(value: int | None) -> str:
    """Return a whole number with separators; a dash for None."""
    return "-" if value is None else f"{value:,}"


def scalar(value: Scalar) -> str:
    """Return one hyperparameter's value, floats with three significant digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value, 3) if isinstance(value, float) else str(value)


def varying(rows: Iterable[Params]) -> set[str]:
    """Return the names of parameters that are not the same in all rows; all of them when there is one row.

    The widths of the layers are one parameter: where one of them differs all do, for they are drawn together.
    """
    listed = list(rows)
    names = {name for row in listed for name in row}
    if len(listed) <= 1:
        return names
    found = {name for name in names if any(row.get(name) != listed[0].get(name) for row in listed[1:])}
    return found | set(filter(layer_of, names)) if any(map(layer_of, found)) else found


def parameter_cells(params: Mapping[str, Scalar], names: set[str] | None = None) -> dict[str, str]:
    """Return parameters by name, in the order they are read in: `{"layers": "2", "units": "128-64"}`.

    Args:
        params: Values by name; the widths of the layers are drawn together.
        names: Show only these; None shows all.
    """
    shown = {name: scalar(value) for name, value in params.items() if names is None or name in names}
    widths = [shown.pop(name) for name in sorted(filter(layer_of, shown), key=lambda name: layer_of(name) or 0)]
    if widths:
        shown[SHARED] = "-".join(widths)
    order = {"layers": 0, "units": 1, "activation": 2, "learning_rate": 3, "optimizer": 4}
    return {name: shown[name] for name in sorted(shown, key=lambda n: (order.get(n, 9), n))}


def parameters(params: Mapping[str, Scalar], names: set[str] | None = None) -> str:
    """Return parameters on one line, as `parameter_cells` has them: `layers=2 units=128-64 activation=relu`."""
    return " ".join(f"{name}={value}" for name, value in parameter_cells(params, names).items())


def sparkline(values: Sequence[float], width: int = 30, *, blocks: bool = True) -> str:
    """Return the values as a row of rising blocks, the last ``width`` points of an even thinning.

    Args:
        values: Finite numbers, first to last.
        width: Characters at most, at least 1.
        blocks: False where the terminal has no block characters: then nothing is drawn.
    """
    if not blocks or len(values) <= 1:
        return ""
    step = max(1.0, len(values) / width)
    thinned = [values[min(len(values) - 1, round((i + 1) * step) - 1)] for i in range(min(width, len(values)))]
    low, high = min(thinned), max(thinned)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((value - low) * scale)] for value in thinned)
