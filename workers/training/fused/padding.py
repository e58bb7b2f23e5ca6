"""How wide the hidden layers of a network are padded, so that networks of unlike widths can share a program."""

from __future__ import annotations

from typing import Final, Literal

from hpsearch.domain.mlp import MAX_UNITS

# Narrower layers are padded to this: on a CPU 16 units cost nearly as much as 64, and each width is one more program to
# compile.
_MIN_WIDTH: Final = 64
# Beyond this there is also a width half way to the next: more padding would cost more than one more program.
_FINER_ABOVE: Final = 256
# From this width of the widest layer on, narrow layers are padded by themselves, each to this share at least.
_UNEVEN_FROM: Final = 256
_NARROW: Final = 4
# With fewer rows the programs this takes more cost more than it saves, unless a study has hundreds of trials.
_UNEVEN_ROWS: Final = 1_000


def padded(units: tuple[int, ...], n_rows: int, kind: Literal["cpu", "gpu"]) -> tuple[int, ...]:
    """Return the widths hidden layers are padded to: a function of network, data and device, as the last bits are.

    The smallest of 64, 128, 256, 384, 512, 768, 1024, … that holds the widest layer. On a CPU and with many rows, a
    layer that fits into a quarter of that is padded to that quarter, or the next of these widths. A third kind of layer
    would need more programs, and compiling them would take what it saves; a GPU takes seconds to compile one.

    Args:
        units: Of the hidden layers; none for a linear model.
        n_rows: Training rows of an epoch.
        kind: Of the device.
    """
    if not units:
        return ()
    widest = _width(max(units))
    is_uneven = kind == "cpu" and n_rows >= _UNEVEN_ROWS and widest >= _UNEVEN_FROM
    narrow = _width(widest // _NARROW) if is_uneven else widest
    return tuple(narrow if n <= narrow else widest for n in units)


def spelled(widths: tuple[int, ...]) -> str:
    """Return padded widths for the log, such as `256-64`."""
    return "-".join(map(str, widths)) or "nothing"


def _width(units: int) -> int:
    width = _MIN_WIDTH
    while width < min(units, MAX_UNITS):
        width *= 2
    between = width * 3 // 4
    return between if width > _FINER_ABOVE and units <= between else width
