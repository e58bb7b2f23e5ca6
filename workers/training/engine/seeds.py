"""Random seeds and data orders, derived from the trial's seed and the study's data-order seed alone."""

from __future__ import annotations

import hashlib
import threading

import numpy as np
import numpy.typing as npt

_WORDS = 2**32


class _Generators(threading.local):
    """One generator a thread, seeded anew for each order: making one asks the system for entropy, a tenth of a ms."""

    def __init__(self) -> None:
        # The legacy generator on purpose: numpy freezes its stream, while `Generator` may change between releases.
        self.random = np.random.RandomState(0)


_GENERATORS = _Generators()


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return a seed for one purpose, 0 to 2**31 - 1: independent for different purposes, the same everywhere.

    Args:
        seed: The trial's.
        purpose: What it is for, such as `("kernel", 2)`.
    """
    return int.from_bytes(_digest(seed, *purpose)[:4], "little") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.RandomState:
    """Return this thread's generator, seeded for one purpose; the next call in the thread seeds it anew.

    Args:
        seed: The trial's.
        purpose: What it is for, such as `("kernel", 2)`.
    """
    _GENERATORS.random.seed(np.frombuffer(_digest(seed, *purpose), dtype="<u4"))
    return _GENERATORS.random


def data_order(trial_seed: int, data_order_seed: int, *, fold: int, epoch: int, n_rows: int) -> npt.NDArray[np.int64]:
    """Return the order in which an epoch visits the training rows: a permutation of range(n_rows), int64.

    Args:
        trial_seed: The trial's.
        data_order_seed: The study's.
        fold: From 0; 0 for a hold-out split.
        epoch: From 1, within the fold.
        n_rows: Training rows, at least 1.
    """
    random = generator(trial_seed, "order", data_order_seed, fold, epoch)
    return random.permutation(n_rows).astype(np.int64, copy=False)


def threshold_of(rate: float) -> int:
    """Return the number below which a hash of 32 bits drops its unit.

    Args:
        rate: Probability of dropping, 0 to below 1.
    """
    return min(round(rate * _WORDS), _WORDS - 1)


def _digest(seed: int, *purpose: str | int) -> bytes:
    words = " ".join(str(word) for word in ("hpsearch training", seed, *purpose))
    return hashlib.sha256(words.encode()).digest()
