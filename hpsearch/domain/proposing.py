"""Proposing a study for a data set: a space, a budget and an objective that suit its size and its target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.mlp import count_weights
from hpsearch.domain.task import TASKS

# Rows below which one split of them says too little, and folds are worth their price.
_FEW_ROWS: Final = 400
_SMALL_ROWS: Final = 2_000
_MANY_ROWS: Final = 50_000
# Of the rows: what is left when a fifth validates and a fifth is locked away.
_TRAIN_FRACTION: Final = 0.6
# A class larger than this share makes accuracy an easy number to be proud of.
_LOPSIDED: Final = 0.8
_MAX_UNITS: Final = 512
_MIN_UNITS: Final = 32
# Units below which a wide table is squeezed together too much to be of use.
_FEWEST_UNITS: Final = 8
_TRIALS_PER_PARAMETER: Final = 8
_MAX_WEIGHTS: Final = 5_000_000
# Steps an epoch should have, so that it is neither one step nor an hour.
_STEPS_AN_EPOCH: Final = 50
_BATCH_SIZES: Final = (16, 32, 64, 128, 256, 512, 1024, 2048)


@dataclass(frozen=True)
class Reason:
    """Why something is proposed.

    Attributes:
        field: Dotted path in the definition.
        why: One sentence.
    """

    field: str
    why: str


@dataclass(frozen=True)
class Proposal:
    """A study that suits a data set.

    Attributes:
        definition: As its author would write it: what is left out keeps its default.
        reasons: Why it is like this.
    """

    definition: dict[str, Any]
    reasons: tuple[Reason, ...]


def propose(profile: DatasetProfile, dataset: Mapping[str, str], *, name: str) -> Proposal:
    """Return a study for a data set; the same profile always gives the same study.

    Args:
        profile: Of the data set.
        dataset: How a definition refers to it, such as `{"builtin": "digits"}`.
        name: For people.
    """
    reasons: list[Reason] = []
    space = _space(profile, reasons)
    n_searched = sum(isinstance(parameter, dict) for parameter in space.values())
    definition: dict[str, Any] = {"name": name, "dataset": dict(dataset), "task": profile.task}
    definition["split"] = _split(profile, reasons)
    definition["objective"] = {"metric": _metric(profile, reasons)}
    definition["space"] = space
    if _largest(profile, space) > _MAX_WEIGHTS:
        definition["constraints"] = {"max_weights": _MAX_WEIGHTS}
        reasons.append(Reason("constraints.max_weights", "the largest networks of the space would train for hours"))
    definition["algorithm"] = {"kind": "bayesian", "seed": 0}
    definition["training"] = {"max_epochs": 100, "early_stopping": {"patience": 10}}
    definition["budget"] = {"max_trials": -(-_TRIALS_PER_PARAMETER * n_searched // 10) * 10}
    reasons.append(Reason("budget.max_trials", f"about {_TRIALS_PER_PARAMETER} for each of {n_searched} parameters"))
    definition["confirm"] = {"top_k": 3, "seeds": 3}
    definition["refit"] = "auto"
    reasons.append(Reason("confirm", "the best three train again with other seeds, so that the winner is not luck"))
    return Proposal(definition, tuple(reasons))


def _split(profile: DatasetProfile, reasons: list[Reason]) -> dict[str, Any]:
    if profile.n_rows < _FEW_ROWS:
        reasons.append(Reason("split.folds", f"{profile.n_rows} rows are few: five folds make the values less noisy"))
        return {"folds": 5, "test": 0.2}
    return {"validation": 0.2, "test": 0.2}


def _metric(profile: DatasetProfile, reasons: list[Reason]) -> str:
    n_labelled = sum(profile.class_counts)
    if n_labelled and max(profile.class_counts) / n_labelled > _LOPSIDED:
        share = max(profile.class_counts) / n_labelled
        why = f"{share:.0%} of the rows are of one class: accuracy would be high without learning anything"
        reasons.append(Reason("objective.metric", why))
        return "balanced_accuracy"
    return TASKS[profile.task].default_metric


def _space(profile: DatasetProfile, reasons: list[Reason]) -> dict[str, Any]:
    n_rows = profile.n_rows
    deepest = 2 if n_rows < _SMALL_ROWS else 3 if n_rows < _MANY_ROWS else 4
    widest = _widest(profile)
    reasons.append(Reason("space.layers", f"{n_rows:,} rows carry up to {deepest} hidden layers"))
    why = f"up to about four times the {profile.n_inputs} inputs, and no more than {_MAX_UNITS}"
    reasons.append(Reason("space.units", why))
    batches = _batch_sizes(n_rows)
    n_train = round(n_rows * _TRAIN_FRACTION)
    reasons.append(Reason("space.batch_size", f"about {_STEPS_AN_EPOCH} steps an epoch over {n_train:,} rows"))
    space: dict[str, Any] = {
        "layers": {"type": "int", "low": 1, "high": deepest},
        "units": {"type": "int", "low": max(_FEWEST_UNITS, widest // 16), "high": widest, "log": True},
        "activation": {"type": "categorical", "choices": ["relu", "tanh", "gelu"]},
        "learning_rate": {"type": "float", "low": 0.0003, "high": 0.03, "log": True},
        "weight_decay": {"type": "float", "low": 1e-06, "high": 0.01, "log": True},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5},
        "optimizer": "adamw",
        "batch_size": {"type": "categorical", "choices": batches},
    }
    if n_rows >= _SMALL_ROWS:
        space["batch_norm"] = {"type": "categorical", "choices": [True, False]}
    return space


def _widest(profile: DatasetProfile) -> int:
    """Return a power of two about four times the inputs, within bounds that fewer rows lower."""
    most = 128 if profile.n_rows < _SMALL_ROWS else _MAX_UNITS
    wanted = 4 * profile.n_inputs
    width = _MIN_UNITS
    while width < wanted and width < most:
        width *= 2
    return width


def _batch_sizes(n_rows: int) -> list[int]:
    ideal = n_rows * _TRAIN_FRACTION / _STEPS_AN_EPOCH
    middle = min(range(1, len(_BATCH_SIZES) - 1), key=lambda index: abs(_BATCH_SIZES[index] - ideal))
    return list(_BATCH_SIZES[middle - 1 : middle + 2])


def _largest(profile: DatasetProfile, space: Mapping[str, Any]) -> int:
    n_outputs = max(1, TASKS[profile.task].n_outputs(len(profile.classes)))
    units = (space["units"]["high"],) * space["layers"]["high"]
    return count_weights(units, n_inputs=profile.n_inputs, n_outputs=n_outputs, batch_norm="batch_norm" in space)
