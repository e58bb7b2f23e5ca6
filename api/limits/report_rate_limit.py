"""Rate limit of reports: how often one trial may be reported on, so that a flood of reports delays no other worker."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.errors.problem_documents import ProblemError

# Workers report five times a second at most; a client that sends one request for each epoch is slower than this, too.
MAX_REPORTS_PER_SECOND: Final = 200


class ReportRateLimit:
    """Counts the reports of each token on each trial, in fixed windows.

    Args:
        most: Reports on one trial in one window.
        window_s: Length of a window, from a trial's first report on, in seconds.
    """

    def __init__(self, most: int = MAX_REPORTS_PER_SECOND, *, window_s: int = 1) -> None:
        self._limit = RateLimitItemPerSecond(most, window_s)
        self._window = FixedWindowRateLimiter(MemoryStorage())

    def check(self, token_id: str, trial_ids: Iterable[str]) -> None:
        """Count one report of a token on each trial; a token that floods another's trial only stops itself.

        Raises:
            ProblemError: 429, one of them has been reported on too often; nothing of the request counts.
        """
        for trial_id in trial_ids:
            if not self._window.hit(self._limit, token_id, trial_id):
                detail = (
                    f"trial {trial_id[:80]!r} was reported on more than {self._limit.amount} times within a second; "
                    "wait a second, then send all its new epochs in one report"
                )
                raise ProblemError(429, "report.too_often", detail, headers={"Retry-After": "1"})
