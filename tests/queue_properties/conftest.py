"""Fixtures of the forced interleavings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.settings import Settings
from tests.queue_properties.race import Course
from tests.service.fleet_stub import StubWorker


@pytest.fixture
def course(postgres_url: str, tmp_path: Path) -> Iterator[Course]:
    opened = Course(Settings(data_dir=tmp_path / "data", database_url=postgres_url))
    yield opened
    opened.close()


@pytest.fixture
def worker(course: Course) -> StubWorker:
    return course.worker()
