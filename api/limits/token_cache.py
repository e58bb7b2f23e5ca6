"""Token cache: the callers of valid tokens, kept for a second, so that not every request asks the database."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from hpsearch.clock import Clock
from hpsearch.service.context import Caller

# Time to live. A token revoked through another server process may still be accepted here for so long; through this
# one it is not.
TTL_S: Final = 1.0
_MAX_ENTRIES: Final = 4096


class TokenCache:
    """An LRU cache from tokens to callers; holds digests, never the tokens themselves.

    Args:
        clock: Its monotonic time is used.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    def get(self, raw: str) -> Caller | None:
        """Return the caller of a token checked within the last second; None when it must be checked."""
        entry = self._entries.get(_digest(raw))
        if entry is None or self._clock.monotonic_s() - entry[0] > TTL_S:
            return None
        return entry[1]

    def put(self, raw: str, caller: Caller) -> None:
        """Keep the caller of a token that was just checked."""
        key = _digest(raw)
        self._entries[key] = (self._clock.monotonic_s(), caller)
        self._entries.move_to_end(key)
        if len(self._entries) > _MAX_ENTRIES:
            self._entries.popitem(last=False)

    def forget(self, token_id: str) -> None:
        """Drop a token that was revoked."""
        for key in [key for key, (_, caller) in list(self._entries.items()) if caller.token_id == token_id]:
            self._entries.pop(key, None)


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode("utf-8", "replace")).digest()
