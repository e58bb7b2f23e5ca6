"""Runs an hpsearch command whose clock is wrong by what a file says, and follows the file: clocks that jump.

    python -m tests.chaos.skewed OFFSET_FILE serve …

The file holds seconds. What the product reads the wall time by is replaced before anything is loaded: `time.time` and
the one clock of hpsearch. The steady clock stays as it is, as it does when somebody sets the time of a machine.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path


def skew(offset: Path) -> None:
    """Let the wall clock of this process be off by what the file says, from now on."""
    from hpsearch.clock import SystemClock

    true_time = time.time
    last = 0.0

    def seconds() -> float:
        nonlocal last
        with suppress(ValueError):  # it is being written just now
            last = float(json.loads(offset.read_text(encoding="utf-8")))
        return last

    time.time = lambda: true_time() + seconds()
    SystemClock.now = lambda _self: datetime.now(UTC) + timedelta(seconds=seconds())  # type: ignore[method-assign]


if __name__ == "__main__":
    skew(Path(sys.argv[1]))
    from hpsearch.cli.main import main

    sys.argv = ["hpsearch", *sys.argv[2:]]
    main()
