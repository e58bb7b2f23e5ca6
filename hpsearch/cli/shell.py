"""Shell quoting, for commands that a person may copy."""

from __future__ import annotations


def shell(text: str) -> str:
    """Return the text as one word of a command."""
    import shlex

    return shlex.quote(text)
