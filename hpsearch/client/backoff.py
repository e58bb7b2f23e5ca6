"""Retries with exponential backoff and jitter: the delays, and the loop that sends the identical request again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from hpsearch.errors import HpsearchError, LimitError, UnavailableError

Result = TypeVar("Result")

# Doubling stops here; 2**16 times the first wait is beyond every cap.
_MAX_DOUBLINGS = 16


@dataclass
class Backoff:
    """Growing waits with full jitter between half and the whole, so that a fleet does not return in step.

    Attributes:
        first_s: The first wait at most, seconds.
        most_s: No wait is longer, seconds, unless the server asks for more (capped at `most_asked_s`).
        most_asked_s: Longest wait a server may ask for, seconds.
    """

    first_s: float = 0.5
    most_s: float = 30.0
    most_asked_s: float = 300.0
    n_failures: int = field(default=0, init=False)

    def next_s(self, asked_s: float = 0.0) -> float:
        """Return the seconds to wait after one more failure.

        Args:
            asked_s: What the server asked for (`Retry-After`), seconds; 0 when it did not.
        """
        ceiling = min(self.most_s, self.first_s * float(1 << min(self.n_failures, _MAX_DOUBLINGS)))
        self.n_failures += 1
        own = ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, protects nothing
        return max(own, min(asked_s, self.most_asked_s))

    def reset(self) -> None:
        """Start again from the first wait, after a success."""
        self.n_failures = 0


def asked_wait_s(error: HpsearchError) -> float | None:
    """Return the seconds the error asks to wait, or None when repeating the request can not help."""
    if isinstance(error, UnavailableError):
        return error.retry_after_s
    if isinstance(error, LimitError):
        wait_s = error.details.get("retry_after_s")
        return float(wait_s) if isinstance(wait_s, int | float) else None
    return None


def repeat(
    call: Callable[[], Result],
    *,
    attempts: int = 4,
    backoff: Backoff | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> Result:
    """Return what the call returns, repeating it while the service is unavailable or asks for patience.

    Args:
        call: Must be safe to repeat.
        attempts: Calls in total, at least 1.
        backoff: How long to wait in between.
        sleep: Waits that many seconds.

    Raises:
        HpsearchError: The last call's error, or the first that repeating can not help.
    """
    backoff = backoff or Backoff()
    for left in range(attempts - 1, -1, -1):
        try:
            return call()
        except (UnavailableError, LimitError) as error:
            asked_s = asked_wait_s(error)
            if asked_s is None or left == 0:
                raise
            sleep(backoff.next_s(asked_s))
    msg = f"attempts must be at least 1, received {attempts}"
    raise ValueError(msg)
