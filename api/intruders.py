"""Who sent wrong tokens lately: slowed down by peer address, without hurting good tokens from the same address."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.problems import ProblemError

MAX_WRONG_PER_MINUTE: Final = 100
_MAX_REMEMBERED: Final = 10_000


class Intruders:
    """Counts wrong tokens for each peer.

    The peer is the address of the connection: a forwarded address is the client's own claim and changes nothing.
    Tokens that were good lately are let through even from a peer over the limit, since many workers share an address.
    """

    def __init__(self) -> None:
        self._limit = RateLimitItemPerMinute(MAX_WRONG_PER_MINUTE)
        self._window = FixedWindowRateLimiter(MemoryStorage())
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def check(self, peer: str, raw: str) -> None:
        """Let the request pass, or not.

        Raises:
            ProblemError: 429, too many wrong tokens came from this peer within a minute.
        """
        if self._window.test(self._limit, peer) or _digest(raw) in self._good:
            return
        wait_s = max(1, math.ceil(self._window.get_window_stats(self._limit, peer).reset_time - time.time()))
        detail = f"too many wrong tokens came from your address; wait {wait_s} seconds"
        raise ProblemError(429, "auth.too_many_attempts", detail, headers={"Retry-After": str(wait_s)})

    def wrong(self, peer: str, raw: str) -> None:
        """Count a token that was not accepted."""
        self._good.pop(_digest(raw), None)
        self._window.hit(self._limit, peer)

    def right(self, raw: str) -> None:
        """Remember a token that was accepted."""
        digest = _digest(raw)
        if digest in self._good:
            return
        self._good[digest] = None
        if len(self._good) > _MAX_REMEMBERED:
            self._good.popitem(last=False)


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode("utf-8", "replace")).digest()
