"""How all kernels are compiled."""

from __future__ import annotations

from typing import Any, Final

# Sums may be reordered and products contracted, so that loops use the processor's vectors. Not `nnan` and `ninf`: a
# diverged network must be seen to have diverged.
_FLAGS: Final = {"reassoc", "contract", "arcp", "nsz", "afn"}

# Helpers are compiled into the kernels that call them.
HELPER: Final[dict[str, Any]] = {"nogil": True, "fastmath": _FLAGS, "error_model": "numpy"}

# What Python calls: kept on disk.
KERNEL: Final[dict[str, Any]] = HELPER | {"cache": True}
