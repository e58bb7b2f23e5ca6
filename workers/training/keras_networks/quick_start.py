"""Importing TensorFlow and Keras without what only costs time: they are most of a trainer's start."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Keras imports it, and with it most of SciPy, for wrappers that nothing here uses: a fifth of the whole start.
_UNUSED: Final = "sklearn"


@contextmanager
def quick_start() -> Iterator[None]:
    """Import quickly within the body: no search for garbage, and Keras finds no scikit-learn, as if not installed.

    What is imported stays, half a million objects: to look through them again and again for garbage would cost half a
    second within the body and a fifteenth of all compiling after it, so later searches leave them out. Afterwards
    scikit-learn can be imported by whoever wants it, only Keras's own wrappers for it keep saying that it is missing.
    In a process that has imported it already, it stays.
    """
    hidden, collected = _UNUSED not in sys.modules, gc.isenabled()
    gc.disable()
    if hidden:
        sys.modules[_UNUSED] = None  # type: ignore[assignment]  # the import system's own mark of a missing module
    try:
        yield
        gc.freeze()
    finally:
        if hidden:
            sys.modules.pop(_UNUSED, None)
        if collected:
            gc.enable()
