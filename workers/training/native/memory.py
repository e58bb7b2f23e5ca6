"""MemoryGate: networks begin when there is memory for them, and one that could never fit is told so at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_LOOK_S: Final = 0.1
_MIB: Final = 2**20


class MemoryGate:
    """Keeps the sum of what networks in training take within bounds.

    The system promises more memory than it has and kills who uses it, so it must not come to that.

    Args:
        total_bytes: What all together may take.
    """

    def __init__(self, total_bytes: int) -> None:
        self.total_bytes = total_bytes
        self._free_bytes = total_bytes
        self._changed = threading.Condition()

    @contextmanager
    def room_for(self, n_bytes: int, obey: Callable[[], None]) -> Iterator[None]:
        """Wait until there is room, and keep it within the body.

        Args:
            n_bytes: Needed.
            obey: Called while waiting; may raise.

        Raises:
            MemoryError: It is more than all there is.
        """
        if n_bytes > self.total_bytes:
            msg = f"it needs {n_bytes / _MIB:,.0f} MiB, this worker has {self.total_bytes / _MIB:,.0f} MiB for training"
            raise MemoryError(msg)
        with self._changed:
            while n_bytes > self._free_bytes:
                self._changed.wait(_LOOK_S)
                obey()
            self._free_bytes -= n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._free_bytes += n_bytes
                self._changed.notify_all()
