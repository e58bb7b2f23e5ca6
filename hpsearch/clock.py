"""Clock: the one source of the current time, so that tests can set it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Something that tells the wall time and a monotonic time."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""

    def monotonic_s(self) -> float:
        """Return seconds from an arbitrary origin that never go backwards."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return seconds since an arbitrary origin; unaffected by wall-clock jumps."""
        return time.monotonic()


@dataclass
class ManualClock:
    """A clock that moves only when told to: for tests and simulations."""

    at: datetime = field(default_factory=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    elapsed_s: float = 0.0

    def now(self) -> datetime:
        """Return the instant the clock was last set to."""
        return self.at

    def monotonic_s(self) -> float:
        """Return the seconds advanced so far."""
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        """Move both the wall time and the monotonic time forward by ``seconds``."""
        self.at += timedelta(seconds=seconds)
        self.elapsed_s += seconds
