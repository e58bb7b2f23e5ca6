"""The names of layer widths in a flat point: `units` for all hidden layers, `units_1` … `units_n` for one each."""

from __future__ import annotations

import re
from typing import Final

SHARED: Final = "units"
_OF_ONE_LAYER: Final = re.compile(r"units_([1-9][0-9]*)")


def width_name(layer: int) -> str:
    """Return the name of the width of one hidden layer, counted from 1."""
    return f"{SHARED}_{layer}"


def layer_of(name: str) -> int | None:
    """Return the hidden layer, counted from 1, whose width a parameter is; None for any other parameter."""
    match = _OF_ONE_LAYER.fullmatch(name)
    return int(match[1]) if match else None


def is_width(name: str) -> bool:
    """Return whether the parameter is the width of one or of all hidden layers."""
    return name == SHARED or layer_of(name) is not None
