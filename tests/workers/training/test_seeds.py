from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from hpsearch.domain.mlp import Init
from workers.training.engine.seeds import data_order, derive_seed


def order(**changed: int) -> list[int]:
    facts = {"trial_seed": 3, "data_order_seed": 5, "fold": 0, "epoch": 1, "n_rows": 50} | changed
    trial_seed, order_seed = facts.pop("trial_seed"), facts.pop("data_order_seed")
    return data_order(trial_seed, order_seed, **facts).tolist()


def test_an_order_visits_every_row_once():
    for n_rows in (1, 2, 50, 1_000):
        assert sorted(order(n_rows=n_rows)) == list(range(n_rows))


def test_an_order_depends_on_seeds_fold_and_epoch_and_on_nothing_else():
    np.random.seed(1)  # noqa: NPY002 - the global generator must not matter
    first = order()
    np.random.seed(2)  # noqa: NPY002 - as above
    assert order() == first
    others = [order(trial_seed=4), order(data_order_seed=6), order(fold=1), order(epoch=2)]
    assert all(other != first for other in others)
    assert len({tuple(other) for other in others}) == len(others)


def test_an_order_is_the_same_on_every_machine_and_in_every_release():
    assert data_order(1, 2, fold=0, epoch=1, n_rows=10).tolist() == [3, 1, 8, 7, 0, 2, 9, 4, 6, 5]


def test_derived_seeds_differ_by_purpose_and_fit_keras():
    seeds = [
        derive_seed(9, "kernel", 1),
        derive_seed(9, "kernel", 2),
        derive_seed(9, "dropout", 1),
        derive_seed(8, "kernel", 1),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert derive_seed(9, "kernel", 1) == seeds[0]


@pytest.mark.parametrize("init", get_args(Init)[1:])
def test_initial_kernels_have_the_distribution_of_keras_initializers(init: str) -> None:
    import keras
    import numpy as np

    from hpsearch.domain.mlp import MlpConfig
    from workers.training.engine.initial import initial_kernels

    name = "".join(word.capitalize() for word in init.split("_"))
    keras_kernel = np.asarray(getattr(keras.initializers, name)(seed=1)((300, 200), dtype="float32"))
    kernel, _ = initial_kernels(MlpConfig(units=(200,), init=init), n_inputs=300, n_outputs=5, seed=1, dtype="float64")
    ours, theirs = np.sort(kernel.ravel()), np.sort(keras_kernel.ravel().astype(np.float64))
    spread = theirs.std()
    # Two samples of 60,000: quantiles of one distribution differ by a few hundredths of its spread, ends by more.
    assert np.abs(ours - theirs)[600:-600].max() < 0.05 * spread
    assert abs(ours[-1] - theirs[-1]) < 0.05 * spread
    assert kernel.mean() == pytest.approx(0, abs=0.02 * spread)
