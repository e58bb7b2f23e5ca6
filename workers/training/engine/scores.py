"""Every metric of a task, from predictions and truth, in numpy.

Definitions are scikit-learn's, so that anyone can check a leaderboard with the downloaded model: `loss` of a classifier
is `log_loss`, `f1_macro` is `f1_score(average="macro")`, `roc_auc` is the mean of one class against the rest.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from hpsearch.data.prepare import Preparation
from hpsearch.domain.metrics import Task

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# As scikit-learn's log_loss clips float64 probabilities.
_EPSILON: Final = float(np.finfo(np.float64).eps)
# Ranking costs a sort for each class and epoch; above this many numbers it is left out unless it is the objective.
_MAX_RANKED: Final = 2_000_000


def score(
    task: Task, predictions: Array, truth: Array | Codes, *, target_scale: float = 1.0, objective: str | None = None
) -> dict[str, float | None]:
    """Return every metric of the task; None where one is undefined on this truth or not finite.

    Args:
        task: Decides metrics and shapes.
        predictions: float64. multiclass: (n, n_classes) probabilities. binary: (n,) probabilities of the second
            class. regression: (n,) in the target's unit.
        truth: multiclass, binary: (n,) int64 class codes. regression: (n,) float64 in the target's unit.
        target_scale: Standard deviation that standardised a regression target; the unit of its `loss`.
        objective: Metric that is computed whatever it costs; ranking many rows of many classes is skipped otherwise.
    """
    if task == "regression":
        values = _regression(predictions, np.asarray(truth, dtype=np.float64), target_scale)
    else:
        codes = np.asarray(truth, dtype=np.int64)
        if task == "binary":
            predictions = np.stack([1.0 - predictions, predictions], axis=1)
        ranks = objective == "roc_auc" or predictions.size <= _MAX_RANKED
        values = _classification(predictions, codes, binary=task == "binary", ranks=ranks)
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}


def _regression(predicted: Array, truth: Array, scale: float) -> dict[str, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        error = predicted - truth
        mse = float(np.mean(error**2))
        spread = float(np.mean((truth - truth.mean()) ** 2))
        return {
            "loss": float(np.mean((error / scale) ** 2)),
            "mse": mse,
            "rmse": float(np.sqrt(mse)),
            "mae": float(np.mean(np.abs(error))),
            "r2": 1.0 - mse / spread if spread > 0 else float("nan"),
        }


def _classification(probabilities: Array, truth: Codes, *, binary: bool, ranks: bool) -> dict[str, float]:
    n_rows, n_classes = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    right = predicted == truth
    true_count = np.bincount(truth, minlength=n_classes).astype(np.float64)
    said_count = np.bincount(predicted, minlength=n_classes).astype(np.float64)
    hits = np.bincount(truth[right], minlength=n_classes).astype(np.float64)
    present, seen = true_count > 0, true_count + said_count > 0
    f1 = 2.0 * hits[seen] / (true_count + said_count)[seen]
    likelihood = probabilities[np.arange(n_rows), truth]
    values = {
        "loss": float(-np.log(np.clip(likelihood, _EPSILON, 1.0 - _EPSILON)).mean()),
        "accuracy": float(right.mean()),
        "balanced_accuracy": float((hits[present] / true_count[present]).mean()),
        "f1_macro": float(f1.mean()),
        "roc_auc": _mean_roc_auc(probabilities, truth, binary=binary) if ranks else float("nan"),
    }
    if binary:
        both = true_count[1] + said_count[1]
        values["f1"] = float(2.0 * hits[1] / both) if both else 0.0
    return values


def _mean_roc_auc(probabilities: Array, truth: Codes, *, binary: bool) -> float:
    columns = [1] if binary else range(probabilities.shape[1])
    areas = [_roc_auc(probabilities[:, column], truth == column) for column in columns]
    return float(np.mean(areas))


def _roc_auc(value: Array, positive: npt.NDArray[np.bool_]) -> float:
    """Return the area under the curve by ranks, ties at their mean rank (Mann-Whitney); NaN with one class only."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, counts = np.unique(value, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    total = float(mean_rank[inverse][positive].sum())
    return (total - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative)


def predictions_of(task: Task, raw: npt.NDArray[np.float64], preparation: Preparation) -> npt.NDArray[np.float64]:
    """Return probabilities, or values in the target's unit, of a network's raw output.

    Args:
        task: Of the study.
        raw: (n, n_outputs) float64 logits, or standardised values.
        preparation: That standardised the target.
    """
    if task == "multiclass":
        exponentials = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
    if task == "binary":
        logit = raw[:, 0]
        small = np.exp(-np.abs(logit))
        return np.asarray(np.where(logit >= 0, 1.0, small) / (1.0 + small))
    return np.asarray(raw[:, 0] * preparation.target_scale + preparation.target_mean)
