"""Why a study ended, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hpsearch.domain.lifecycle import EndReason

END_REASONS: Final[Mapping[str, str]] = {
    EndReason.MAX_TRIALS: "all trials done",
    EndReason.WALL_TIME: "time limit reached",
    EndReason.DEVICE_SECONDS: "device time used up",
    EndReason.TARGET_REACHED: "target reached",
    EndReason.SPACE_EXHAUSTED: "every point of the space tried",
    EndReason.MAX_FAILED: "too many trials failed",
    EndReason.NO_RESULT: "no search trial came to a result",
    EndReason.USER: "stopped by a user",
}


def end_reason(reason: str | None) -> str:
    """Return why a search ended, as a clause; empty without a reason, and the name itself of one of a newer server."""
    return END_REASONS.get(reason, reason.replace("_", " ")) if reason else ""
