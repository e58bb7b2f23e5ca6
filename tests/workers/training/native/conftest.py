"""Data sets, tasks and native engines for the tests of the native engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workers.training.conftest import (  # noqa: F401 - fixtures
    _tensorflow,
    builtin,
    data_dir,
    make_task,
    mixed,
    mixed_frame,
    store,
)
from workers.training.native.engine import NativeEngine

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            # TensorFlow 2.21's tensors under numpy 2.4, in every conversion to numpy.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
            )


@pytest.fixture(scope="session")
def native() -> NativeEngine:
    return NativeEngine(n_slots=2, explain=lambda _: None)
