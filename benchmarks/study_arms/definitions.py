"""The studies that are measured: the examples as people write them, each written out as a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hpsearch.studyfile.yaml_reader import read_yaml

_EXAMPLES: Final = Path(__file__).parents[2] / "examples"
_NO_LAST_STAGES: Final[dict[str, Any]] = {"confirm": {"top_k": 0}, "refit": "off"}


@dataclass(frozen=True)
class Study:
    """One measured study.

    Attributes:
        example: Stem of the file in `examples`.
        changes: Fields that replace the file's; a mapping replaces single fields of a mapping.
        about: For the heading.
    """

    example: str
    changes: Mapping[str, Any]
    about: str


STUDIES: Final[dict[str, Study]] = {
    "digits-random": Study(
        "digits", {"algorithm": {"kind": "random"}, **_NO_LAST_STAGES}, "digits.yaml by random search"
    ),
    "digits-bayesian": Study("digits", _NO_LAST_STAGES, "digits.yaml without refit"),
    "full": Study("full", _NO_LAST_STAGES, "full.yaml without confirm and refit"),
    "full-confirmed": Study("full", {}, "full.yaml, with confirm and refit"),
    "mixed": Study("mixed", _NO_LAST_STAGES, "mixed.yaml without refit"),
    "diabetes": Study("diabetes", _NO_LAST_STAGES, "diabetes.yaml without refit"),
    "medium": Study(
        "full",
        {"dataset": {"builtin": None, "generated": "medium"}, "budget": {"max_trials": 24}, **_NO_LAST_STAGES},
        "the space of full.yaml, 24 trials, on a generated set of 20,000 x 50",
    ),
}


def write_definition(name: str, path: Path, *, seed: int, n_trials: int | None = None) -> Path:
    """Write the definition of a study and return its path.

    Args:
        name: One of `STUDIES`.
        path: Where to write it, a `.yaml` file.
        seed: Of the search, so that repeats differ by more than chance on the other side alone.
        n_trials: Replaces the file's own number of trials.
    """
    study = STUDIES[name]
    definition = _changed(read_yaml(_EXAMPLES / f"{study.example}.yaml").data, study.changes)
    definition = _changed(definition, {"algorithm": {"seed": seed}})
    if n_trials is not None:
        definition = _changed(definition, {"budget": {"max_trials": n_trials}})
    data_file = definition["dataset"].get("path")
    if data_file is not None:  # relative to the example
        definition = _changed(definition, {"dataset": {"path": str(_EXAMPLES / data_file)}})
    path.write_text(yaml.safe_dump(definition, sort_keys=False), encoding="utf-8")
    return path


def _changed(definition: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition with the changes; None takes a field away."""
    changed = dict(definition)
    for field, value in changes.items():
        before = changed.get(field)
        changed[field] = _changed(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return {field: value for field, value in changed.items() if value is not None or field not in changes}
