"""Numbers that look random and depend on nothing but the given integers, the same on every machine and version."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def raw_words(n: int, *entropy: int) -> NDArray[np.uint64]:
    """Return n 64-bit words, (n,) uint64: PCG64 seeded by ``SeedSequence(entropy)``.

    Only the raw stream and the seeding are used, which NumPy promises never to change (NEP 19); its `Generator`
    methods carry no such promise.

    Args:
        n: At least 0.
        entropy: Non-negative integers; each different sequence gives an independent stream.
    """
    import numpy as np

    words: NDArray[np.uint64] = np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(n)
    return words


def uniforms(n: int, *entropy: int) -> list[float]:
    """Return n numbers evenly from 0 to 1, both included, in steps of about 1e-16."""
    words = raw_words(n, *entropy)
    return [(word >> 11) / (2**53 - 1) for word in words.tolist()]
