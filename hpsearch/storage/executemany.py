"""Parameters for `execute`: one row alone, or many as a batch (executemany)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def one_or_many(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | Sequence[dict[str, Any]]:
    """Return the one row itself, or all of several: a list of one would be sent as a batch, with its overhead."""
    return rows[0] if len(rows) == 1 else rows
