"""Every metric of a task, from predictions and truth.

Definitions are scikit-learn's, so that anyone can check a leaderboard with the downloaded model: `loss` of a classifier
is `log_loss`, `f1_macro` is `f1_score(average="macro")`, `roc_auc` is the mean of one class against the rest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hpsearch.data.links import class_probabilities
from hpsearch.domain.task import TaskName
from workers.training.engine.stacked_scores import Metrics, Truth


def score(
    task: TaskName,
    predictions: npt.NDArray[np.float64],
    truth: npt.NDArray[Any],
    *,
    target_scale: float = 1.0,
    objective: str | None = None,
) -> Metrics:
    """Return every metric of the task; None where one is undefined on this truth or not finite.

    Args:
        task: Decides metrics and shapes.
        predictions: (n, n_outputs) float64, finite. multiclass: probabilities. binary: the probability of the second
            class. regression: values in the target's unit. One column may be (n,).
        truth: multiclass, binary: (n,) int64 class codes. regression: (n,) float64 in the target's unit.
        target_scale: Standard deviation that standardised a regression target; the unit of its `loss`.
        objective: Metric that is computed whatever it costs; ranking many rows of many classes is skipped otherwise.
    """
    columns = class_probabilities(task, predictions.reshape(len(truth), -1))
    judged = Truth(task, truth, n_classes=columns.shape[1], target_scale=target_scale, objective=objective)
    return judged.scores_of_predictions(columns.T[None])[0]
