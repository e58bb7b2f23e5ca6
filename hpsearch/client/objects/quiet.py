"""Silences TensorFlow's log output for people who asked for predictions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """Keep TensorFlow's C++ part, which greets on the file descriptor itself, off stderr; not with HPSEARCH_DEBUG."""
    if os.environ.get("HPSEARCH_DEBUG"):
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
