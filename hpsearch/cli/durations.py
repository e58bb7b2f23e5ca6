"""Parser of durations as people type them, such as `12h`."""

from __future__ import annotations

import re
from typing import Final

from hpsearch.errors import InvalidInputError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PATTERN: Final = re.compile(r"(\d{1,12})\s*([smhdw]?)")


def seconds(text: str) -> int:
    """Return the seconds of `90`, `90s`, `15m`, `12h`, `30d` or `2w`.

    Raises:
        InvalidInputError: It is none of these, or no time at all.
    """
    found = _PATTERN.fullmatch(text.strip().lower())
    if found is None or int(found[1]) == 0:
        msg = f"a time is a whole number with s, m, h, d or w, such as 12h or 30d, received {text!r}"
        raise InvalidInputError(msg, code="input.bad_duration")
    return int(found[1]) * _UNITS[found[2] or "s"]
