"""MemoryGate: admission by memory, for networks that train at the same time."""

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
    def room_for(self, n_bytes: int, check_stop: Callable[[], None]) -> Iterator[None]:
        """Wait until there is room, and keep it within the body.

        Args:
            n_bytes: Needed.
            check_stop: Called while waiting; may raise.

        Raises:
            MemoryError: It is more than all there is.
        """
        if n_bytes > self.total_bytes:
            msg = f"it needs {n_bytes / _MIB:,.0f} MiB, this worker has {self.total_bytes / _MIB:,.0f} MiB for training"
            raise MemoryError(msg)
        with self._changed:
            while n_bytes > self._free_bytes:
                self._changed.wait(_LOOK_S)
                check_stop()
            self._free_bytes -= n_bytes
        try:
            yield
        finally:
            with self._changed:
                self._free_bytes += n_bytes
                self._changed.notify_all()
