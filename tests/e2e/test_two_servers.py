"""Two servers with two data directories on one PostgreSQL are one service, whichever of them is alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.two_servers import story, tell


@pytest.mark.slow
def test_data_and_models_of_one_server_are_those_of_the_other_through_kills(tmp_path: Path, postgres_url: str):
    with story(tmp_path, postgres_url) as one:
        tell(one)
