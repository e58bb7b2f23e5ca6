"""Link functions: from a network's raw outputs to probabilities, or to standardised values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from hpsearch.domain.task import TASKS, Link, TaskName

Array = npt.NDArray[np.float64]


def softmax(raw: Array) -> Array:
    """Return exponentials divided by their sum over the last axis; never overflows."""
    # The largest is found fastest class by class.
    largest = np.ascontiguousarray(np.swapaxes(raw, -1, -2)).max(axis=-2)
    exponentials = np.exp(raw - largest[..., None])
    exponentials /= exponentials.sum(axis=-1, keepdims=True)
    return np.asarray(exponentials)


def sigmoid(raw: Array) -> Array:
    """Return the logistic function of each number; never overflows."""
    small = np.exp(-np.abs(raw))
    return np.asarray(np.where(raw >= 0, 1.0, small) / (1.0 + small))


LINKS: Final[dict[Link, Callable[[Array], Array]]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "identity": lambda raw: raw,
}


def class_probabilities(task: TaskName, predictions: Array) -> Array:
    """Return a column for each class, (n, n_classes); a number's predictions as they are.

    Args:
        task: What is predicted.
        predictions: (n, n_outputs); with two classes (n, 1), the probability of the second.
    """
    if TASKS[task].has_positive_class:
        return np.concatenate([1.0 - predictions, predictions], axis=1)
    return predictions
