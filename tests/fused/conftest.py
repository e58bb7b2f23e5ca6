"""Data sets, tasks and a fused engine for the tests of fused training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.training.conftest import (  # noqa: F401 - fixtures
    _tensorflow,
    builtin,
    data_dir,
    engine,
    exact_engine,
    linear,
    make_task,
    mixed,
    mixed_frame,
    store,
)

if TYPE_CHECKING:
    from workers.training.fused.engine import FusedEngine
    from workers.training.fused.machine import Machine

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            # TensorFlow 2.21's tensors under numpy 2.4, in every conversion to numpy.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
            )


@pytest.fixture(scope="session")
def machine(_tensorflow: None) -> Machine:  # noqa: F811 - the fixture
    """A device of the cost model that is the same on every machine, so that plans are."""
    from workers.training.fused.machine import Machine

    return Machine(
        kind="cpu",
        name="a test's two cores",
        n_lanes=2,
        rate=1e11,
        cache_bytes=8 * 2**20,
        memory_bytes=2**32,
        step_s=4e-5,
        call_s=1.5e-3,
        compile_s=1.0,
        load_s=0.3,
    )


@pytest.fixture(scope="session")
def fused(machine: Machine) -> FusedEngine:
    from workers.training.fused.engine import FusedEngine

    return FusedEngine(machine=machine, explain=lambda _: None)


@pytest.fixture(scope="session")
def exact_fused(machine: Machine) -> FusedEngine:
    from workers.training.fused.engine import FusedEngine

    return FusedEngine("float64", machine=machine, explain=lambda _: None)
