from __future__ import annotations

import itertools

import numpy as np
import pytest


def part(n_rows: int):
    from workers.training.engine.rows import Part

    rows = np.arange(n_rows)
    return Part(np.stack([rows, 2.0 * rows], axis=1).astype(np.float32), rows.astype(np.int32), rows, rows)


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 64, [3]), (2, 1, [1, 1])]
)
def test_every_epoch_is_one_pass_in_the_order_set_for_it(n_rows: int, batch_size: int, sizes: list[int]):
    from workers.training.reference.batches import BatchStream

    stream = BatchStream(part(n_rows), batch_size)
    batches = iter(stream.dataset())
    random = np.random.default_rng(0)
    for _ in range(3):
        order = random.permutation(n_rows)
        stream.set_order(order)
        epoch = list(itertools.islice(batches, stream.n_batches))
        assert [len(y) for _, y in epoch] == sizes
        assert np.concatenate([y.numpy() for _, y in epoch]).tolist() == order.tolist()
        inputs = np.concatenate([x.numpy() for x, _ in epoch])
        assert (inputs[:, 1] == 2.0 * order).all()


def test_a_batch_is_never_larger_than_the_data():
    from workers.training.reference.batches import BatchStream

    stream = BatchStream(part(5), 1_000_000)
    assert (stream.batch_size, stream.n_batches) == (5, 1)
