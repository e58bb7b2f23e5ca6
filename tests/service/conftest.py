"""Fixtures of the service's tests."""

from __future__ import annotations

import pytest

from hpsearch.service.context import Context
from tests.service.fleet_stub import StubWorker


@pytest.fixture
def worker(manual_context: Context) -> StubWorker:
    """A registered worker of a service in which time stands still."""
    return StubWorker(manual_context)
