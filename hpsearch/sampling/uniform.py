"""Pseudo-random numbers as functions of the given integers, the same on every machine and version."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """What random words are for: the last number of every seed, so that no two uses share a stream.

    The values are part of what makes studies repeatable and never change. None is 0, because a trailing zero does not
    change a `SeedSequence`.
    """

    GRID = 1
    RANDOM = 2
    PICK = 3
    STRATA = 4
    WITHIN = 5
    MODEL = 6
    NOVEL = 7
    FRAMES = 8
    ELSEWHERE = 9


def raw_words(n: int, *entropy: int) -> NDArray[np.uint64]:
    """Return n 64-bit words, (n,) uint64: NumPy's PCG64 seeded by ``SeedSequence(entropy)``.

    Only the raw stream and the seeding are used, which NumPy promises never to change (NEP 19); its `Generator`
    methods carry no such promise.

    Args:
        n: At least 0.
        entropy: Non-negative integers, the last a `Stream`; each different sequence gives an independent stream.
    """
    words: NDArray[np.uint64] = np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(n)
    return words


def uniforms(n: int, *entropy: int) -> list[float]:
    """Return n numbers evenly from 0 to 1, both included, in steps of about 1e-16."""
    words = raw_words(n, *entropy)
    return [(word >> 11) / (2**53 - 1) for word in words.tolist()]
