"""Callers that showed a valid token a moment ago, so that busy workers do not ask the database at every request."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from hpsearch.clock import Clock
from hpsearch.service.context import Caller

# How long a token revoked through another server process may still be taken here; through this one it is not.
FRESH_S: Final = 1.0
_MAX_REMEMBERED: Final = 4096


class Callers:
    """Remembers who a token belongs to for one second.

    Args:
        clock: Its steady time is used.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    def find(self, raw: str) -> Caller | None:
        """Return who showed this token within the last second; None when it must be checked."""
        known = self._known.get(_digest(raw))
        if known is None or self._clock.monotonic_s() - known[0] > FRESH_S:
            return None
        return known[1]

    def keep(self, raw: str, caller: Caller) -> None:
        """Remember a token that was just checked."""
        key = _digest(raw)
        self._known[key] = (self._clock.monotonic_s(), caller)
        self._known.move_to_end(key)
        if len(self._known) > _MAX_REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, token_id: str) -> None:
        """Check this token again at its next use: it was revoked."""
        for key in [key for key, (_, caller) in list(self._known.items()) if caller.token_id == token_id]:
            self._known.pop(key, None)


def _digest(raw: str) -> bytes:
    return hashlib.sha256(raw.encode("utf-8", "replace")).digest()
