"""One arena of data sets for all checks; engines are made once a process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.training.conformance.arena import Arena

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            # TensorFlow 2.21's tensors under numpy 2.4, in every conversion to numpy.
            item.add_marker(
                pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
            )


@pytest.fixture(scope="session", autouse=True)
def _tensorflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras  # noqa: F401 - imported here, where its own warnings do not count
        import tensorflow as tf  # noqa: F401 - as above


@pytest.fixture(scope="session")
def arena() -> Iterator[Arena]:
    with Arena() as arena:
        yield arena
