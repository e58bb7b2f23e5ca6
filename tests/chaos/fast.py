"""Small runs of the chaos table, for every test run; `make chaos` has the whole."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Final

from tests.chaos.places import Place
from tests.chaos.scene import Scene
from tests.chaos.table import SCENARIOS, run

# Share of the full load; C3, C6, C7, C9 and C13 are left to `make chaos`.
_SCALE: Final = {"C1": 0.08, "C2": 0.08, "C4": 0.1, "C5": 0.1, "C8": 0.1, "C10": 0.12, "C11": 0.1, "C12": 0.08}
# Promises in seconds are for machines that do nothing else; here other tests run beside.
_PATIENCE: Final = 4.0


def check(name: str, database_url: str, folder: Path) -> None:
    """Run a scenario over a fresh database; the seed is drawn unless HPSEARCH_TEST_SEED names it.

    Raises:
        AssertionError: With all that was not as promised, and how to repeat it.
    """
    seed = int(os.environ.get("HPSEARCH_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
    kind = "sqlite" if database_url.startswith("sqlite") else "postgresql"
    scale = _SCALE[name]
    again = f"python -m tests.chaos {name} --seed {seed} --scale {scale} --patience {_PATIENCE} --database {kind}"
    print(f"to repeat: {again}")
    scene = Scene(seed, Place(kind, database_url), folder, scale=scale, patience=_PATIENCE)
    report = run(SCENARIOS[name], scene)
    print(f"{report.figures}; the machine stood still for {report.stalled_s:.2f} s at most")
    found = [*report.complaints, *report.violations]
    assert not found, "\n".join([*found, f"to repeat: {again}"])
