"""Labels as filters: `key`, or `key=value`."""

from __future__ import annotations

from hpsearch.errors import InvalidInputError


def label_filter(text: str | None) -> tuple[str, str | None] | None:
    """Return the key and the value to look for; None as the value for any, None for no filter.

    Raises:
        InvalidInputError: It can not be looked for.
    """
    if text is None:
        return None
    key, equals, value = text.partition("=")
    key = key.strip()
    if not key:
        msg = f"label must be key or key=value, received {text[:80]!r}"
        raise InvalidInputError(msg, code="label.invalid")
    return key, value.strip() if equals else None
