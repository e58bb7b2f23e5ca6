"""Task: what is predicted (classes, one of two, or a number), and all that depends on it.

Nobody else compares the names of tasks: what one needs to know of a task is an attribute here. Links and losses are
only named here: numpy, Keras, TensorFlow and numba compute them, each in one table by these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hpsearch.domain.metrics import BINARY_METRICS, MULTICLASS_METRICS, REGRESSION_METRICS, Metric

TaskName = Literal["multiclass", "binary", "regression"]
# From the network's raw outputs to predictions.
Link = Literal["softmax", "sigmoid", "identity"]
Loss = Literal["categorical_crossentropy", "binary_crossentropy", "mean_squared_error"]


@dataclass(frozen=True)
class Task:
    """One kind of target, and how a network is trained on it and judged.

    Attributes:
        name: As in definitions, profiles and model files.
        link: From raw outputs to predictions: probabilities, or standardised values.
        loss: Compares raw outputs with targets.
        metrics: By name, in the order in which they are shown.
        default_metric: The objective of a study that names none.
        has_classes: Whether the target is one of a few labels: rows are stratified by it and predictions are
            probabilities. Otherwise it is a number, and is standardised.
        n_classes: How many classes it takes; None for any number of them.
    """

    name: TaskName
    link: Link
    loss: Loss
    metrics: dict[str, Metric]
    default_metric: str
    has_classes: bool
    n_classes: int | None = None

    @property
    def has_output_per_class(self) -> bool:
        """Whether the network has an output for each class; otherwise it has one."""
        return self.link == "softmax"

    @property
    def has_positive_class(self) -> bool:
        """Whether there are two classes, of which the second is the positive one and the one output's."""
        return self.has_classes and not self.has_output_per_class

    def n_outputs(self, n_classes: int) -> int:
        """Return the width of the network's output.

        Args:
            n_classes: Of the target; 0 for numbers.
        """
        return n_classes if self.has_output_per_class else 1


def _by_name(metrics: tuple[Metric, ...]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


TASKS: Final[dict[TaskName, Task]] = {
    task.name: task
    for task in (
        Task(
            "multiclass", "softmax", "categorical_crossentropy", _by_name(MULTICLASS_METRICS), "accuracy",
            has_classes=True,
        ),
        Task(
            "binary", "sigmoid", "binary_crossentropy", _by_name(BINARY_METRICS), "accuracy",
            has_classes=True, n_classes=2,
        ),
        Task("regression", "identity", "mean_squared_error", _by_name(REGRESSION_METRICS), "mse", has_classes=False),
    )
}  # fmt: skip


def task_for(n_classes: int) -> Task:
    """Return the task of a target of which nothing else is known.

    Args:
        n_classes: Distinct labels; 0 for a target of numbers.
    """
    if n_classes == 0:
        return TASKS["regression"]
    return TASKS["binary"] if n_classes == TASKS["binary"].n_classes else TASKS["multiclass"]
