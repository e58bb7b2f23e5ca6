"""Evaluation of a model for its card: confusion of the classes, or errors."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hpsearch.data.links import class_probabilities
from hpsearch.domain.task import TASKS, TaskName
from hpsearch.model_card import MAX_CLASSES, MAX_PAIRS, Evaluation

# Digits that a drawing can show, and then some.
_DIGITS: Final = 7


def evaluation_of(
    task: TaskName, predictions: npt.NDArray[np.float64], truth: npt.NDArray[np.float64] | npt.NDArray[np.int64]
) -> Evaluation | None:
    """Return the confusion of the classes, or true values with their errors; None with too many classes.

    Args:
        task: Decides the shapes.
        predictions: (n, n_outputs) float64, as `scores.score` takes them.
        truth: (n,) class codes, or values in the target's unit.
    """
    if not TASKS[task].has_classes:
        # Evenly over the true values, so that rare ones are seen.
        by_truth = np.argsort(truth, kind="stable")
        chosen = by_truth[np.linspace(0, len(truth) - 1, min(len(truth), MAX_PAIRS)).round().astype(np.int64)]
        values, errors = (
            tuple(float(f"{value:.{_DIGITS}g}") for value in numbers[chosen])
            for numbers in (truth, predictions[:, 0] - truth)
        )
        return Evaluation(n_rows=len(truth), truth=values, errors=errors)
    predictions = class_probabilities(task, predictions)
    n_classes = predictions.shape[1]
    if n_classes > MAX_CLASSES:
        return None
    codes = truth.astype(np.int64)
    counts = np.bincount(codes * n_classes + predictions.argmax(axis=1), minlength=n_classes**2)
    confusion = tuple(tuple(int(n) for n in row) for row in counts.reshape(n_classes, n_classes))
    return Evaluation(n_rows=len(truth), confusion=confusion)
