"""What a model gets right and wrong on the rows it is judged by, in few numbers: for its card."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hpsearch.domain.metrics import Task
from hpsearch.model_card import MAX_CLASSES, MAX_PAIRS, Evaluation

# Digits that a drawing can show, and then some.
_DIGITS: Final = 7


def evaluation_of(
    task: Task, predictions: npt.NDArray[np.float64], truth: npt.NDArray[np.float64] | npt.NDArray[np.int64]
) -> Evaluation | None:
    """Return the confusion of the classes, or true values with their errors; None with too many classes.

    Args:
        task: Decides the shapes.
        predictions: multiclass: (n, n_classes) probabilities. binary: (n,) probabilities of the second class.
            regression: (n,) in the target's unit.
        truth: (n,) class codes, or values in the target's unit.
    """
    if task == "regression":
        # Evenly over the true values, so that rare ones are seen.
        by_truth = np.argsort(truth, kind="stable")
        chosen = by_truth[np.linspace(0, len(truth) - 1, min(len(truth), MAX_PAIRS)).round().astype(np.int64)]
        values, errors = (
            tuple(float(f"{value:.{_DIGITS}g}") for value in numbers[chosen])
            for numbers in (truth, predictions - truth)
        )
        return Evaluation(n_rows=len(truth), truth=values, errors=errors)
    if task == "binary":
        predictions = np.stack([1.0 - predictions, predictions], axis=1)
    n_classes = predictions.shape[1]
    if n_classes > MAX_CLASSES:
        return None
    codes = truth.astype(np.int64)
    counts = np.bincount(codes * n_classes + predictions.argmax(axis=1), minlength=n_classes**2)
    confusion = tuple(tuple(int(n) for n in row) for row in counts.reshape(n_classes, n_classes))
    return Evaluation(n_rows=len(truth), confusion=confusion)
