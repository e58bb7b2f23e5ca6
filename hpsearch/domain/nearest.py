"""Spelling suggestions: the known name that is nearest to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

_LEAST: Final = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like the one received; None when none is like it.

    The same letters in another order (`lgo`, `log`) are the most common slip, and win over as many equal letters.
    """

    def likeness(candidate: str) -> tuple[float, bool]:
        ratio = SequenceMatcher(None, name, candidate).ratio()
        return max(ratio, _LEAST) if sorted(name) == sorted(candidate) else ratio, sorted(name) == sorted(candidate)

    found = max(known, key=likeness, default=None)
    return found if found is not None and likeness(found)[0] >= _LEAST else None
