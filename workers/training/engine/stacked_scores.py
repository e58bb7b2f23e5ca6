"""Every metric of a task, of all members of a pack at once."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hpsearch.data.links import LINKS
from hpsearch.domain.task import TASKS, TaskName

Array = npt.NDArray[np.float64]
Metrics = dict[str, float | None]

# As scikit-learn's log_loss clips float64 probabilities.
_EPSILON: Final = float(np.finfo(np.float64).eps)
# Ranking costs a sort for each class and epoch; above this many numbers it is left out unless it is the objective.
MAX_RANKED: Final = 2_000_000
# Numbers scored at a time: what fits into a cache, and into memory that need not be fetched from the system each time.
_BLOCK: Final = 2**15


class Truth:
    """What the held-out rows really are, counted once.

    Args:
        task: Of the study.
        truth: (n,) int64 codes, or float64 in the target's unit.
        n_classes: 2 for binary; ignored for regression.
        target_mean: Subtracted from a regression target before training.
        target_scale: Divided a regression target before training.
        objective: Metric that is computed whatever it costs.
    """

    def __init__(
        self,
        task: TaskName,
        truth: npt.NDArray[Any],
        *,
        n_classes: int = 2,
        target_mean: float = 0.0,
        target_scale: float = 1.0,
        objective: str | None = None,
    ) -> None:
        self._task = TASKS[task]
        self._truth = truth
        self._unit = (target_scale, target_mean)
        self._n_classes = n_classes
        self._ranks = objective == "roc_auc" or len(truth) * n_classes <= MAX_RANKED
        if self._task.has_classes:
            columns = [1] if self._task.has_positive_class else range(n_classes)
            self._positive = np.stack([truth == column for column in columns]).astype(np.int64)
            self._count = np.bincount(truth, minlength=n_classes).astype(np.float64)
            # Where the probability of the true class stands among a member's (n_classes, n).
            self._place = truth * len(truth) + np.arange(len(truth))

    def scores(self, raw: npt.NDArray[Any]) -> list[Metrics | None]:
        """Return every metric of each member; None for a member with an output that is not finite.

        Args:
            raw: (k, n, n_outputs) logits, or standardised values.
        """
        width = len(self._truth) * (self._n_classes if self._task.has_classes else 1)
        at_once = max(1, _BLOCK // width)
        return [one for start in range(0, len(raw), at_once) for one in self._block(raw[start : start + at_once])]

    def _block(self, raw: npt.NDArray[Any]) -> list[Metrics | None]:
        finite = np.isfinite(raw).all(axis=(1, 2))
        good = raw[finite].astype(np.float64)
        if not len(good):
            return [None] * len(raw)
        rows = iter(self.scores_of_predictions(self._predictions(good)))
        return [next(rows) if is_finite else None for is_finite in finite]

    def scores_of_predictions(self, predictions: Array) -> list[Metrics]:
        """Return every metric of each member; None where one is undefined on this truth or not finite.

        Args:
            predictions: (k, n_classes, n) probabilities, or (k, 1, n) values in the target's unit; finite.
        """
        values = self._classification(predictions) if self._task.has_classes else self._regression(predictions[:, 0])
        columns = {name: value.tolist() for name, value in values.items()}
        return [
            {name: value if math.isfinite(value) else None for name, value in zip(columns, row, strict=True)}
            for row in zip(*columns.values(), strict=True)
        ]

    def _regression(self, predicted: Array) -> dict[str, Array]:
        scale, truth = self._unit[0], self._truth
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            error = predicted - truth
            mse = np.mean(error**2, axis=1)
            spread = float(np.mean((truth - truth.mean()) ** 2))
            return {
                "loss": np.mean((error / scale) ** 2, axis=1),
                "mse": mse,
                "rmse": np.sqrt(mse),
                "mae": np.mean(np.abs(error), axis=1),
                "r2": 1.0 - mse / spread if spread > 0 else np.full_like(mse, np.nan),
            }

    def _predictions(self, raw: Array) -> Array:
        """Return (k, n_classes, n) probabilities, or (k, 1, n) values in the target's unit."""
        scale, mean = self._unit
        predicted = LINKS[self._task.link](raw).swapaxes(1, 2)
        if not self._task.has_classes:
            return predicted * scale + mean
        return np.concatenate([1.0 - predicted, predicted], axis=1) if self._task.has_positive_class else predicted

    def _classification(self, probabilities: Array) -> dict[str, Array]:
        p = np.ascontiguousarray(probabilities)
        k, n_classes, _ = p.shape
        truth, count = self._truth, self._count
        said = _first_largest(p)
        right = said == truth
        member = np.arange(k)[:, None] * n_classes
        shape = (k, n_classes)
        said_count = np.bincount((said + member).ravel(), minlength=k * n_classes).reshape(shape)
        hits = np.bincount((truth + member).ravel(), right.ravel(), minlength=k * n_classes).reshape(shape)
        both = said_count + count
        f1 = np.divide(2.0 * hits, both, out=np.zeros(shape), where=both > 0)
        # Contiguous by member, so that a member's sums run in one order however many there are.
        likelihood = p.reshape(k, -1).take(self._place, axis=1).clip(_EPSILON, 1.0 - _EPSILON)
        present = count > 0
        recall = np.ascontiguousarray(hits[:, present] / count[present])
        values = {
            "loss": -np.log(likelihood).mean(axis=1),
            "accuracy": right.mean(axis=1),
            "balanced_accuracy": recall.mean(axis=1),
            "f1_macro": f1.sum(axis=1) / (both > 0).sum(axis=1),
            "roc_auc": self._areas(p[:, 1:] if self._task.has_positive_class else p),
        }
        return values | {"f1": f1[:, 1]} if self._task.has_positive_class else values

    def _areas(self, p: Array) -> Array:
        """Return the mean area under the curve over the columns, (k,), by ranks."""
        n_rows = p.shape[2]
        n_positive = self._positive.sum(axis=1)
        n_pairs = n_positive * (n_rows - n_positive)
        if not self._ranks or not n_pairs.all():
            return np.full(len(p), np.nan)
        # Numbers from 0 to 1 leave the two highest bits free: moved up by one, they make room for the truth in the
        # lowest bit, and one plain sort does. Of equals the negatives come first.
        keys = (p.view(np.int64) << 1) | self._positive
        keys.sort(axis=-1)
        ranks = (keys & 1).astype(np.float64) @ np.arange(1.0, n_rows + 1)
        # A positive behind an equal negative: only there the order of equals counts.
        for place in np.argwhere(((keys[..., 1:] ^ keys[..., :-1]) == 1).any(axis=-1)):
            ranks[tuple(place)] = _tied_ranks(keys[tuple(place)])
        areas: Array = (ranks - n_positive * (n_positive + 1) / 2.0) / n_pairs
        mean: Array = areas.mean(axis=1)
        return mean


def _first_largest(p: Array) -> npt.NDArray[np.int64]:
    """Return `p.argmax(axis=1)`, class by class, which takes a quarter of the time."""
    largest = p[:, 0].copy()
    said = np.zeros(largest.shape, np.int64)
    for number in range(1, p.shape[1]):
        np.copyto(said, number, where=p[:, number] > largest)
        np.maximum(largest, p[:, number], out=largest)
    return said


def _tied_ranks(keys: npt.NDArray[np.int64]) -> float:
    """Return the sum of the positives' ranks, equals at their mean rank."""
    _, inverse, counts = np.unique(keys >> 1, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    return float(mean_rank[inverse][(keys & 1).astype(bool)].sum())
