"""Rate limit of failed logins: an address that sent too many invalid tokens is refused for a while.

Valid tokens from the same address are still accepted.
"""

from __future__ import annotations

import math
import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.errors.problem_documents import ProblemError
from api.limits.connections import client_key

MAX_FAILED_PER_MINUTE: Final = 100


class FailedLogins:
    """Counts invalid tokens by address, in windows of one minute.

    A token is checked first, and only an invalid one counts: behind a proxy that is not named in
    `HPSEARCH_TRUSTED_PROXIES` all clients have one address, and the guesses of one must not lock out the others. A
    token has 256 random bits, so it needs no such defence; the limit keeps guessing cheap to refuse and visible in the
    log.
    """

    def __init__(self) -> None:
        self._limit = RateLimitItemPerMinute(MAX_FAILED_PER_MINUTE)
        self._window = FixedWindowRateLimiter(MemoryStorage())

    def count(self, address: str) -> None:
        """Count an invalid token.

        Raises:
            ProblemError: 429, too many came from this address within a minute.
        """
        key = client_key(address)
        if self._window.hit(self._limit, key):
            return
        wait_s = max(1, math.ceil(self._window.get_window_stats(self._limit, key).reset_time - time.time()))
        detail = f"too many wrong tokens came from your address; wait {wait_s} seconds, or send a valid one"
        raise ProblemError(429, "auth.too_many_attempts", detail, headers={"Retry-After": str(wait_s)})
