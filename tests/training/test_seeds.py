from __future__ import annotations

import numpy as np

from workers.training.seeds import data_order, derive_seed


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
