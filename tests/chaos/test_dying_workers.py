"""Workers that are killed, frozen and poisoned, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.fast import check


@pytest.mark.slow
@pytest.mark.parametrize("name", ["C1", "C4", "C11"])
def test_nothing_is_lost_and_nothing_counted_twice(name: str, database_url: str, tmp_path: Path):
    check(name, database_url, tmp_path)
