"""Whether chance alone explains that two sides score differently, and the words for it."""

from __future__ import annotations

from typing import Final

# Standard errors apart: beyond this, chance alone explains a difference in one of 370 comparisons.
BEYOND: Final = 3.0


def is_noise(difference: float, error: float, grain: float) -> bool:
    """Return whether chance explains a difference of scores.

    Args:
        difference: One side less the other.
        error: What different seeds alone do to it, as a standard deviation.
        grain: Least step of a score, such as one validation row; 0 where scores have none.
    """
    return abs(difference) <= BEYOND * error + grain


def verdict(*, is_alike: bool) -> str:
    """Return what may be said of speed where scores are alike, and where they are not."""
    return "within seed noise" if is_alike else "BEYOND SEED NOISE: no speed of it may be quoted"
