"""From the kind of a pruner to the pruner."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from hpsearch.pruning.base import BasePruner


@cache
def pruner_of(kind: str) -> BasePruner:
    """Return `PRUNER` of the module named like it.

    Args:
        kind: A name in `domain.pruners.PRUNERS`.
    """
    found: BasePruner = import_module(f"hpsearch.pruning.{kind}").PRUNER
    return found
