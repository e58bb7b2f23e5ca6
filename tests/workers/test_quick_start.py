"""A trainer imports Keras without what only costs time."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from workers.training.keras_networks.quick_start import quick_start

_IMPORT = """
import gc, sys
from workers.training.keras_networks.quick_start import quick_start
with quick_start():
    from workers.training.fused.engine import FusedEngine
    from workers.training.reference.engine import ReferenceEngine
print(gc.get_freeze_count() > 100_000)
print(*sorted({"keras", "tensorflow", "sklearn", "scipy.stats"} & set(sys.modules)))
import sklearn.datasets
print(len(sklearn.datasets.load_iris().target))
"""


def test_keras_comes_without_scikit_learn_which_can_be_imported_later() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True", "keras tensorflow", "150"]


def test_it_leaves_no_trace() -> None:
    import sklearn  # imported before, it stays

    assert gc.isenabled()
    with pytest.raises(ImportError), quick_start():
        _fail()
    assert gc.isenabled()
    assert sys.modules["sklearn"] is sklearn


def _fail() -> None:
    assert not gc.isenabled()
    raise ImportError
