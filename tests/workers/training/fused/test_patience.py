"""Early stopping and learning-rate decay: Keras's own callbacks, epoch by epoch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from hpsearch.domain.objective import Objective
from hpsearch.domain.training import EarlyStopping, LrDecay
from workers.training.engine.numerics import DType
from workers.training.engine.schedule import Schedule

N_EPOCHS = 60


def _curves() -> Iterator[npt.NDArray[np.floating]]:
    random = np.random.default_rng(5)
    for _ in range(12):
        # Steps of a tenth make ties and changes of exactly min_delta.
        yield np.round(np.cumsum(random.normal(size=N_EPOCHS)) / 3 + 5, 1)
        yield 3.0 + np.exp(-np.arange(N_EPOCHS) / 9) + random.normal(size=N_EPOCHS) * 2e-4
    # Changes that float32 does not see.
    yield 1.0 + np.arange(N_EPOCHS) * 1e-9


@pytest.mark.parametrize("objective", [Objective(metric="loss"), Objective(metric="accuracy")], ids=str)
@pytest.mark.parametrize(("patience", "min_delta"), [(1, 0.0), (3, 0.1), (5, 0.0)])
def test_stopping_is_kerass(objective: Objective, patience: int, min_delta: float) -> None:
    import keras

    from workers.training.engine.patience import Stopping

    n_stopped = 0
    for curve in _curves():
        rule = EarlyStopping(patience=patience, min_delta=min_delta)
        ours = Stopping(Schedule(N_EPOCHS, rule, None), objective, "float32")
        theirs = keras.callbacks.EarlyStopping(
            "value", mode="max" if objective.larger_is_better else "min", patience=patience, min_delta=min_delta
        )
        theirs.set_model(SimpleNamespace(stop_training=False))
        theirs.on_train_begin()
        for epoch, value in enumerate(curve):
            theirs.on_epoch_end(epoch, {"value": float(value)})
            ours.epoch(epoch + 1, float(value))
            assert ours.is_over == theirs.model.stop_training
            assert ours.is_best == (theirs.best_epoch == epoch)
            assert ours.best_epoch == theirs.best_epoch + 1
            if ours.is_over:
                n_stopped += 1
                break
    assert n_stopped > 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_early_stopping_the_best_epoch_is_kept_all_the_same(dtype: DType) -> None:
    from workers.training.engine.patience import Stopping

    stopping = Stopping(Schedule(4, None, None), Objective(metric="loss"), dtype)
    for epoch, value in enumerate([3.0, 1.0, 1.0, 2.0], start=1):
        stopping.epoch(epoch, value)
        assert not stopping.is_over
    assert stopping.best_epoch == 2


@pytest.mark.parametrize(("factor", "patience", "floor"), [(0.5, 1, 1e-7), (0.3, 3, 2e-4), (0.9, 2, 0.0)])
def test_the_learning_rate_falls_as_keras_lowers_it(factor: float, patience: int, floor: float) -> None:
    import keras

    from workers.training.engine.patience import Rate

    n_falls = 0
    for curve in _curves():
        ours = Rate(1e-3, LrDecay(factor=factor, patience=patience, floor=floor), "float32")
        optimizer = keras.optimizers.SGD(1e-3)
        theirs = keras.callbacks.ReduceLROnPlateau("loss", factor=factor, patience=patience, min_lr=floor, mode="min")
        theirs.set_model(SimpleNamespace(optimizer=optimizer))
        theirs.on_train_begin()
        for epoch, value in enumerate(curve):
            before = ours.value
            theirs.on_epoch_end(epoch, {"loss": float(value)})
            ours.epoch(float(value))
            assert ours.value == float(optimizer.learning_rate.numpy())
            n_falls += ours.value < before
    assert n_falls > 10


def test_a_loss_that_is_not_known_changes_nothing() -> None:
    import keras

    from workers.training.engine.patience import Rate

    ours = Rate(1e-3, LrDecay(patience=2), "float32")
    optimizer = keras.optimizers.SGD(1e-3)
    theirs = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_lr=1e-7, mode="min")
    theirs.set_model(SimpleNamespace(optimizer=optimizer))
    theirs.on_train_begin()
    for epoch, value in enumerate([1.0, None, 1.0, None, 1.0, None, 1.0]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.on_epoch_end(epoch, {} if value is None else {"loss": value})
        ours.epoch(value)
        assert ours.value == float(optimizer.learning_rate.numpy())
    assert ours.value < 1e-3


def test_the_shown_rate_is_the_short_one() -> None:
    from workers.training.engine.patience import Rate

    assert Rate(1e-3, None, "float32").shown == 1e-3
    assert Rate(1e-3, None, "float32").value == float(np.float32(1e-3))
