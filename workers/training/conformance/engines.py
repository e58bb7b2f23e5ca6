"""Engines by name, as the suite wants them: silent, and each made once for each number type."""

from __future__ import annotations

from functools import cache
from typing import Final

from workers.training.engine.contract import Engine
from workers.training.engine.numerics import DType

ENGINES: Final = ("native", "fused", "reference")


@cache
def make_engine(name: str, dtype: DType = "float32") -> Engine:
    """Return the engine of a name.

    Args:
        name: One of `ENGINES`.
        dtype: Of weights and computation.

    Raises:
        ValueError: There is no such engine.
    """
    if name == "native":
        from workers.training.native.engine import NativeEngine

        return NativeEngine(dtype)
    if name == "fused":
        from workers.training.fused.engine import FusedEngine

        return FusedEngine(dtype, explain=lambda _: None)
    if name == "reference":
        from workers.training.reference.engine import ReferenceEngine

        return ReferenceEngine(dtype)
    msg = f"unknown engine {name!r}; known are {', '.join(ENGINES)}"
    raise ValueError(msg)
