"""Data sets, tasks and a fused engine for the tests of fused training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.workers.training.conftest import (  # noqa: F401 - fixtures
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
    from workers.training.fused.planning.device_profile import DeviceProfile

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            # TensorFlow 2.21's tensors under numpy 2.4, in every conversion to numpy.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
            )


@pytest.fixture(scope="session")
def device(_tensorflow: None) -> DeviceProfile:  # noqa: F811 - the fixture
    """What the cost model takes for a GPU, so that programs are chosen as there."""
    from workers.training.fused.planning.device_profile import KINDS

    return replace(KINDS["gpu"], name="a test's GPU", n_parallel_packs=2)


@pytest.fixture(scope="session")
def fused(device: DeviceProfile) -> FusedEngine:
    from workers.training.fused.engine import FusedEngine

    return FusedEngine(device=device, explain=lambda _: None)


@pytest.fixture(scope="session")
def exact_fused(device: DeviceProfile) -> FusedEngine:
    from workers.training.fused.engine import FusedEngine

    return FusedEngine("float64", device=device, explain=lambda _: None)
