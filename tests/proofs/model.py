"""Any order of requests, faults and time leads to what a small model of the queue says, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from hpsearch.settings import Settings
from tests.proofs.machine import QueueMachine
from tests.proofs.place import Place


@pytest.fixture
def place(settings: Settings) -> Iterator[Place]:
    opened = Place(settings)
    yield opened
    opened.close()


def test_the_queue_does_what_the_model_says(place: Place) -> None:
    machine = type("Machine", (QueueMachine,), {"place": place})
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(max_examples=40, stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )
