"""The built-in sets are scikit-learn's, bit by bit, without the second its import takes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn import datasets

from hpsearch.domain.study import BUILTIN_DATASETS
from hpsearch.ingest.builtin import _COLUMNS, builtin, table


@pytest.mark.parametrize("name", BUILTIN_DATASETS)
def test_each_is_what_scikit_learn_returns(name: str) -> None:
    bunch = getattr(datasets, f"load_{name}")()
    data, labels, classes = table(name)
    assert data.dtype == bunch.data.dtype
    assert np.array_equal(data, bunch.data)
    assert np.array_equal(labels, bunch.target)
    assert classes == tuple(str(label) for label in getattr(bunch, "target_names", ()))
    assert _COLUMNS[name] == tuple(bunch.feature_names)
    assert builtin(name).profile.n_rows == len(bunch.target)


def test_none_of_them_imports_scikit_learn() -> None:
    names = ", ".join(repr(name) for name in BUILTIN_DATASETS)
    program = (
        "import sys; from hpsearch.ingest.builtin import builtin\n"
        f"for name in ({names}): builtin(name)\n"
        "assert 'sklearn' not in sys.modules and 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
