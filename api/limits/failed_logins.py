"""Who sent wrong tokens lately: refused by address for a while, without hurting good tokens from the same address."""

from __future__ import annotations

import math
import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.errors.problem_documents import ProblemError
from api.limits.connections import bucket

MAX_WRONG_PER_MINUTE: Final = 100


class Intruders:
    """Counts wrong tokens for each address.

    A token is checked first, and only one that was not accepted counts: behind a proxy that is not named in
    `HPSEARCH_TRUSTED_PROXIES` everybody has one address, and nobody's guesses may lock the others out. With 256 random
    bits in a token the limit is no defence of the token; it keeps guessing cheap to refuse and visible in the log.
    """

    def __init__(self) -> None:
        self._limit = RateLimitItemPerMinute(MAX_WRONG_PER_MINUTE)
        self._window = FixedWindowRateLimiter(MemoryStorage())

    def wrong(self, address: str) -> None:
        """Count a token that was not accepted.

        Raises:
            ProblemError: 429, too many came from this address within a minute.
        """
        owner = bucket(address)
        if self._window.hit(self._limit, owner):
            return
        wait_s = max(1, math.ceil(self._window.get_window_stats(self._limit, owner).reset_time - time.time()))
        detail = f"too many wrong tokens came from your address; wait {wait_s} seconds, or send a valid one"
        raise ProblemError(429, "auth.too_many_attempts", detail, headers={"Retry-After": str(wait_s)})
