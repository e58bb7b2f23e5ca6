"""Number formatting: significant digits, counts and plurals."""

from __future__ import annotations

import math
from typing import Final

DASH: Final = "\u2013"
# Larger or smaller numbers read better with an exponent.
_PLAIN: Final = (1e-3, 1e6)


def figure(value: float | None, digits: int = 4) -> str:
    """Return a number with so many significant digits, such as `0.9712` or `3.2e-05`; a dash for None."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0 or (isinstance(value, int) and abs(value) < _PLAIN[1]):
        return f"{int(value):,}"
    low, high = _PLAIN
    if low <= abs(value) < high:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{min(places, 8)}f}"
    return f"{value:.{max(1, digits - 2)}e}"


def count(n: int, noun: str) -> str:
    """Return `1 row`, `1,797 rows`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
