"""Environment variables that go from a command, or a Python program, to the local processes it starts."""

from __future__ import annotations

from typing import Final

# Which engine workers train with; people set it, too.
ENGINE_VARIABLE: Final = "HPSEARCH_WORKER_ENGINE"
# CPUs a child and what it starts may use, such as `0,2`; all of them when unset.
CPUS_VARIABLE: Final = "HPSEARCH_LOCAL_CPUS"
# Set for a worker that was started beside its server: it waits for the server file in the data directory.
BESIDE_VARIABLE: Final = "HPSEARCH_WORKER_BESIDE"
