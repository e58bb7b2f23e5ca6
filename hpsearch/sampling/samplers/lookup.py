"""From the kind of a search algorithm to its sampler."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from hpsearch.sampling.samplers.base import BaseSampler, FiniteSampler


@cache
def sampler_of(kind: str) -> BaseSampler:
    """Return `SAMPLER` of the module named like the algorithm.

    Args:
        kind: A name in `domain.algorithms.ALGORITHMS`.
    """
    found: BaseSampler = import_module(f"hpsearch.sampling.samplers.{kind}").SAMPLER
    return found


def finite_sampler_of(kind: str) -> FiniteSampler:
    """Return the sampler of an algorithm whose entry says `is_finite`.

    Raises:
        TypeError: It derives from another class than `FiniteSampler`.
    """
    found = sampler_of(kind)
    if not isinstance(found, FiniteSampler):
        msg = f"the sampler of an algorithm with is_finite must be a FiniteSampler, received {type(found).__name__}"
        raise TypeError(msg)
    return found
