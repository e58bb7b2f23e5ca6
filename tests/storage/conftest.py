"""Fixtures of storage's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpsearch.clock import ManualClock
from hpsearch.storage.store import Store


@pytest.fixture
def manual_store(database_url: str, manual_clock: ManualClock) -> Iterator[Store]:
    """A store over SQLite and over PostgreSQL in which time stands still."""
    with Store(database_url, clock=manual_clock) as opened:
        yield opened
