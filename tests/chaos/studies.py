"""The studies that chaos runs load the queue with; their data is real, their objective the stub's."""

from __future__ import annotations

from typing import Any, Final

from hpsearch.domain.study import StudyDefinition

_PLAIN: Final[dict[str, Any]] = {
    "dataset": {"builtin": "iris"},
    "objective": {"metric": "accuracy"},
    "training": {"max_epochs": 100},
    "baselines": False,
    "refit": "off",
}


def grid(n: int, *, seed: int, name: str = "grid", **more: Any) -> StudyDefinition:
    """Return a grid of exactly ``n`` points."""
    n_units = max(i for i in range(1, int(n**0.5) + 1) if n % i == 0)
    space = {
        "layers": 1,
        "units": {"values": [4 + i for i in range(n_units)]},
        "learning_rate": {"values": [round(1e-4 * (1 + i), 6) for i in range(n // n_units)]},
    }
    plain = {**_PLAIN, "name": name, "space": space, "algorithm": {"kind": "grid", "seed": seed}, **more}
    return StudyDefinition.model_validate(plain)


def search(n: int, *, seed: int, kind: str = "random", name: str = "search", **more: Any) -> StudyDefinition:
    """Return a random or Bayesian search of ``n`` trials."""
    space = {
        "layers": {"type": "int", "low": 1, "high": 3},
        "units": {"type": "int", "low": 4, "high": 64, "log": True},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    }
    algorithm = {"kind": kind, "seed": seed}
    plain = {**_PLAIN, "name": name, "space": space, "algorithm": algorithm, "budget": {"max_trials": n}, **more}
    return StudyDefinition.model_validate(plain)
