"""Many trials in one process cost what the first ones did: memory and time stay flat."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Final

import psutil

from hpsearch.domain.training import Training
from workers.training.conformance import Finding
from workers.training.conformance.arena import Arena
from workers.training.conformance.cases import unlike
from workers.training.engine.contract import Engine

# Half a mebibyte in a hundred trials.
GROWTH_BOUND: Final = 0.005
SLOWER_BOUND: Final = 1.3
_PARTS: Final = 5
_MIB: Final = 2**20


def steady(arena: Arena, engine: Engine, n_trials: int = 500) -> list[Finding]:
    """Return how much memory a trial leaves behind, in MiB, and how much slower the last fifth is than the second.

    The first fifth is left out: there the allocator finds its size.

    Args:
        arena: Has the data.
        engine: Trains.
        n_trials: At least 40.
    """
    training = Training(max_epochs=8, early_stopping=None)
    cases = [replace(case, seed=number, training=training) for number, case in enumerate(unlike(40))]
    n_part = n_trials // _PARTS
    memory, seconds = [], []
    for part in range(_PARTS):
        started_s = time.process_time()
        arena.train(engine, "iris", [replace(cases[n % 40], seed=part * n_part + n) for n in range(n_part)])
        seconds.append(time.process_time() - started_s)
        memory.append(psutil.Process().memory_info().rss / _MIB)
    grown = (memory[-1] - memory[0]) / (n_part * (_PARTS - 1))
    shown = " -> ".join(f"{mib:.0f}" for mib in memory)
    return [
        Finding(f"memory left behind by each of {n_trials} trials, MiB ({shown} MiB)", grown, GROWTH_BOUND),
        Finding("processor time of the last fifth against the second", seconds[-1] / seconds[1], SLOWER_BOUND),
    ]
