"""The fields of the form for a new study: from a definition to fields, and from fields to a definition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from hpsearch.domain.algorithms import ALGORITHMS as KINDS
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.parameters import MAX_CHOICES
from hpsearch.domain.study import Algorithm
from hpsearch.domain.task import TASKS, TaskName

Kind = Literal["int", "float", "word", "switch"]

_INT: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")


@dataclass(frozen=True)
class Parameter:
    """One row of the form's table.

    Attributes:
        name: Of the parameter.
        kind: `int` and `float` have ranges, `word` and `switch` have values only.
        known: Values there are; empty when any number will do.
        help: What it is, in a few words.
    """

    name: str
    kind: Kind
    help: str
    known: tuple[str, ...] = ()

    @property
    def has_range(self) -> bool:
        """Whether it may be searched from one number to another."""
        return self.kind in ("int", "float")


def _parameter_row(name: str, field: FieldInfo) -> Parameter:
    kind = _plain_type(field.annotation)
    help_text = field.title or ""
    if get_origin(kind) is Literal:
        return Parameter(name, "word", help_text, get_args(kind))
    if kind is bool:
        return Parameter(name, "switch", help_text, ("true", "false"))
    return Parameter(name, "float" if kind is float else "int", help_text)


def _plain_type(annotation: Any) -> Any:
    """Return the type of one value: without bounds and None; of a tuple, that of its members."""
    if get_origin(annotation) in (Literal, None):
        return annotation
    return _plain_type(get_args(annotation)[0])


PARAMETERS: Final = (
    Parameter("layers", "int", "hidden layers"),
    *(_parameter_row(name, field) for name, field in MlpConfig.model_fields.items()),
)
METRICS_OF: Final[dict[TaskName, tuple[str, ...]]] = {task: tuple(TASKS[task].metrics) for task in TASKS}
# The default first.
ALGORITHMS: Final = tuple(dict.fromkeys((Algorithm().kind, *reversed(KINDS))))

Raw = dict[str, Any]


def from_fields(fields: Mapping[str, str], dataset: Mapping[str, str], task: str) -> Raw:
    """Return the definition that the form's fields say; what can not be read stays as text, for validation to refuse.

    Args:
        fields: By name, as the form sends them; empty ones say nothing.
        dataset: How the definition refers to its data.
        task: Of the data set.
    """
    said = {name: text.strip() for name, text in fields.items() if text.strip()}
    raw: Raw = {"name": said.get("name", ""), "dataset": dict(dataset), "task": task}
    raw["split"] = _split(said)
    raw["objective"] = _given({"metric": said.get("metric")})
    space = {one.name: _parameter(one, said) for one in PARAMETERS}
    raw["space"] = {name: parameter for name, parameter in space.items() if parameter is not None}
    raw["constraints"] = _given({"max_weights": _number(said.get("max_weights"))})
    raw["algorithm"] = _given({"kind": said.get("algorithm"), "seed": _number(said.get("seed"))})
    raw["training"] = _given(
        {
            "max_epochs": _number(said.get("max_epochs")),
            "early_stopping": _given({"patience": _number(said.get("patience"))}) or None,
        }
    )
    raw["budget"] = _given(
        {
            "max_trials": _number(said.get("max_trials")),
            "wall_time_s": _float(said.get("wall_time_s")),
            "device_seconds": _float(said.get("device_seconds")),
            "target": _float(said.get("target")),
        }
    )
    raw["confirm"] = _given({"top_k": _number(said.get("top_k")), "seeds": _number(said.get("confirm_seeds"))})
    raw["refit"] = "auto" if "refit" in said else "off"
    raw["baselines"] = "baselines" in said
    return {name: value for name, value in raw.items() if value not in ({}, None)}


def _split(said: Mapping[str, str]) -> Raw:
    folds = _number(said.get("folds"))
    validation = None if folds is not None else _float(said.get("validation"))
    return _given({"folds": folds, "validation": validation, "test": _float(said.get("test"))})


def _parameter(one: Parameter, said: Mapping[str, str]) -> Any:
    # Values beyond the last one allowed stay one text, which validation refuses.
    texts = said.get(f"{one.name}.values", "").split(",", MAX_CHOICES)
    values = [_value(one, text.strip()) for text in texts if text.strip()]
    if len(values) == 1:
        return values[0]
    if values and one.has_range:
        return {"type": one.kind, "values": values}
    if values:
        return {"type": "categorical", "choices": values}
    low, high = said.get(f"{one.name}.low"), said.get(f"{one.name}.high")
    if not one.has_range or (low is None and high is None):
        return None
    read = _number if one.kind == "int" else _float
    return _given(
        {
            "type": one.kind,
            "low": read(low),
            "high": read(high),
            "log": True if f"{one.name}.log" in said else None,
            "steps": _number(said.get(f"{one.name}.steps")),
            "per_layer": True if f"{one.name}.per_layer" in said else None,
        }
    )


def _value(one: Parameter, text: str) -> Any:
    if one.kind == "switch":
        return {"true": True, "false": False}.get(text.lower(), text)
    if one.kind == "word":
        return text
    return _number(text) if one.kind == "int" else _float(text)


def _number(text: str | None) -> Any:
    return int(text) if text is not None and _INT.fullmatch(text) else _float(text)


def _float(text: str | None) -> Any:
    return float(text) if text is not None and _FLOAT.fullmatch(text) else text


def _given(raw: Raw) -> Raw:
    return {name: value for name, value in raw.items() if value is not None}


def to_fields(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return what the form's fields show of a definition; what the form has no field for is not shown.

    Args:
        raw: Plain dicts, lists and scalars, as in a study file.
    """
    fields = {"name": str(raw.get("name", ""))}
    inside = {
        "metric": ("objective", "metric"),
        "algorithm": ("algorithm", "kind"),
        "seed": ("algorithm", "seed"),
        "folds": ("split", "folds"),
        "validation": ("split", "validation"),
        "test": ("split", "test"),
        "max_weights": ("constraints", "max_weights"),
        "max_epochs": ("training", "max_epochs"),
        "patience": ("training", "early_stopping", "patience"),
        "max_trials": ("budget", "max_trials"),
        "wall_time_s": ("budget", "wall_time_s"),
        "device_seconds": ("budget", "device_seconds"),
        "target": ("budget", "target"),
        "top_k": ("confirm", "top_k"),
        "confirm_seeds": ("confirm", "seeds"),
    }
    for field, path in inside.items():
        value: Any = raw
        for step in path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if value is not None:
            fields[field] = _shown(value)
    if raw.get("refit", "auto") == "auto":
        fields["refit"] = "on"
    if raw.get("baselines", True):
        fields["baselines"] = "on"
    space = raw.get("space", {})
    for one in PARAMETERS:
        fields |= _parameter_fields(one, space.get(one.name))
    return fields


def _parameter_fields(one: Parameter, parameter: Any) -> dict[str, str]:
    if parameter is None:
        return {}
    if not isinstance(parameter, Mapping):
        return {f"{one.name}.values": _shown(parameter)}
    values = parameter.get("values", parameter.get("choices"))
    if values is not None:
        return {f"{one.name}.values": ", ".join(map(_shown, values))}
    fields = {f"{one.name}.{end}": _shown(parameter[end]) for end in ("low", "high", "steps") if end in parameter}
    return fields | {f"{one.name}.{mark}": "on" for mark in ("log", "per_layer") if parameter.get(mark)}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
