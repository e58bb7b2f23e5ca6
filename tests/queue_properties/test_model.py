"""Any order of requests, faults and time leads to what a small model of the queue says, on both databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from hpsearch.settings import Settings
from tests.queue_properties.machine import QueueMachine
from tests.queue_properties.place import Place

# Examples of forty requests each; a statement on PostgreSQL costs a round trip.
_N_EXAMPLES: Final = {"sqlite": 50, "postgresql": 25}
# Shrinking a failure takes minutes: in CI, and where only red or green counts, forty lines to repeat are enough.
_IN_HASTE: Final = os.environ.get("CI") or os.environ.get("HPSEARCH_TEST_NO_SHRINK")
_PHASES: Final = [Phase.reuse, Phase.generate, *([] if _IN_HASTE else [Phase.shrink])]


@pytest.fixture
def place(settings: Settings) -> Iterator[Place]:
    opened = Place(settings)
    yield opened
    opened.close()


@pytest.mark.slow
def test_the_queue_does_what_the_model_says(place: Place) -> None:
    n_examples = int(os.environ.get("HPSEARCH_TEST_EXAMPLES", _N_EXAMPLES[place.ctx.store.dialect.name]))
    run_state_machine_as_test(
        type("Machine", (QueueMachine,), {"place": place}),  # type: ignore[arg-type]
        settings=hypothesis_settings(
            max_examples=n_examples,
            stateful_step_count=40,
            phases=_PHASES,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
