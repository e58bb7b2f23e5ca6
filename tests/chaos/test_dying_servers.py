"""Servers that are killed, and are away for longer than the leases, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.fast import check


@pytest.mark.slow
@pytest.mark.parametrize("name", ["C2", "C12"])
def test_nothing_is_lost_and_nothing_counted_twice(name: str, database_url: str, tmp_path: Path):
    check(name, database_url, tmp_path)
