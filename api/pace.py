"""Pace: how often one trial may be reported on, so that a flood of reports takes nobody else's turn."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from api.problems import ProblemError

# Workers report five times a second at most, and whoever sends one epoch after another is slower than this, too.
MAX_REPORTS_PER_SECOND: Final = 200


class Pace:
    """Counts each token's reports on each trial within the current second; remembers nothing longer.

    Args:
        most: Reports on one trial in one second.
        clock: Returns seconds that only rise.
    """

    def __init__(self, most: int = MAX_REPORTS_PER_SECOND, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._second = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def check(self, token_id: str, trial_ids: Iterable[str]) -> None:
        """Count one report of a token's holder on each trial: who floods another's trial only stops himself.

        Raises:
            ProblemError: 429, one of them has been reported on too often in this second; nothing of the request counts.
        """
        second = int(self._clock())
        if second != self._second:
            self._second, self._counts = second, Counter()
        for trial_id in trial_ids:
            self._counts[token_id, trial_id] += 1
            if self._counts[token_id, trial_id] > self._most:
                detail = (
                    f"trial {trial_id[:80]!r} was reported on more than {self._most} times within a second; "
                    "wait a second, then send all its new epochs in one report"
                )
                raise ProblemError(429, "report.too_often", detail, headers={"Retry-After": "1"})
