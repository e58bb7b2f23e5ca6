"""One small trial on this machine, to see that training works at all."""

from __future__ import annotations

import time

from workers.devices import engine_for, find_gpus
from workers.training.conformance.arena import Arena, Case
from workers.training.conformance.engines import make_engine


def train_one(name: str = "auto") -> tuple[str, float]:
    """Train three epochs of a small network with the engine a worker would take, and return its name and the seconds.

    Args:
        name: `native`, `fused`, `reference`, or `auto`.

    Raises:
        RuntimeError: The trial did not complete; the message holds what the engine said.
    """
    name = engine_for(name, find_gpus())
    started_s = time.perf_counter()
    with Arena() as arena:
        (record,) = arena.train(make_engine(name), "iris", [Case({"layers": 1, "units": 8})])
    if record.outcome is None or record.outcome.state != "COMPLETE":
        raise RuntimeError(
            "nothing came back" if record.outcome is None else record.outcome.detail or record.outcome.cause
        )
    return name, time.perf_counter() - started_s
