"""Plan: everything the other side needs to run the same study, as a file that any program can read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Parameter:
    """One parameter of the space, flat: a width of each layer is a parameter of its own.

    Attributes:
        name: As trials carry it.
        kind: `int`, `float` or `choice`.
        low: Least value of an int or float.
        high: Greatest value.
        log: Whether it is drawn evenly in the logarithm.
        choices: Values of a `choice`; one alone is fixed.
        when: Values of earlier parameters under which this one exists.
    """

    name: str
    kind: str
    low: float
    high: float
    log: bool
    choices: tuple[Any, ...]
    when: dict[str, tuple[Any, ...]]

    def is_active(self, params: dict[str, Any]) -> bool:
        """Return whether the parameter exists beside the values drawn before it."""
        return all(parent in params and params[parent] in wanted for parent, wanted in self.when.items())


@dataclass(frozen=True)
class Stop:
    """When a trial ends and when its learning rate falls, in Keras's terms.

    Attributes:
        max_epochs: At most.
        patience: Epochs without a better score; None trains all epochs.
        min_delta: Least change of the score that counts.
        decay: Factor, patience and floor of the learning rate's decay; None keeps the rate.
    """

    max_epochs: int
    patience: int | None
    min_delta: float
    decay: tuple[float, int, float] | None


@dataclass(frozen=True)
class Plan:
    """A study with everything decided.

    Attributes:
        digest: SHA-256 of the data set's content, in hex: it decides which rows train.
        task: `multiclass`, `binary` or `regression`.
        metric: Of the objective: accuracy, roc_auc, mse or loss.
        maximize: Whether larger scores are better.
        n_inputs: Width of the prepared input.
        n_outputs: Of the networks.
        n_train: Rows of the gradient steps.
        n_validation: Rows judged after each epoch.
        target_scale: Standard deviation that standardised a regression target; 1 otherwise.
        space: In an order in which conditions come after what they name.
        algorithm: `random` or `bayesian`.
        n_trials: Of the search.
        stop: Rules of every trial.
        confirm_top: Trials that are trained again at the end; 0 for none.
        confirm_seeds: How often each.
        refit: Whether the winner is trained on training and validation rows.
    """

    digest: str
    task: str
    metric: str
    maximize: bool
    n_inputs: int
    n_outputs: int
    n_train: int
    n_validation: int
    target_scale: float
    space: tuple[Parameter, ...]
    algorithm: str
    n_trials: int
    stop: Stop
    confirm_top: int
    confirm_seeds: int
    refit: bool

    def write(self, folder: Path) -> None:
        """Leave the plan in the folder."""
        (folder / "plan.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the plan of a folder."""
        stored: dict[str, Any] = json.loads((folder / "plan.json").read_text())
        decay = stored["stop"]["decay"]
        stop = Stop(**{**stored["stop"], "decay": None if decay is None else tuple(decay)})
        return cls(**{**stored, "space": tuple(_parameter(one) for one in stored["space"]), "stop": stop})


def _parameter(stored: dict[str, Any]) -> Parameter:
    when = {parent: tuple(wanted) for parent, wanted in stored["when"].items()}
    return Parameter(**{**stored, "choices": tuple(stored["choices"]), "when": when})
