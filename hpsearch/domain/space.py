"""The search space: parameters, when they are active, and which points belong to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Final

from pydantic import RootModel, TypeAdapter, ValidationError, model_validator

from hpsearch.domain.layer_widths import SHARED, is_width, layer_of, width_name
from hpsearch.domain.mlp import MAX_LAYERS, MlpConfig, Width
from hpsearch.domain.nearest import nearest
from hpsearch.domain.parameters import (
    AnyParameter,
    CategoricalParameter,
    FloatParameter,
    IntParameter,
    Parameter,
    first_foreign,
    same,
)
from hpsearch.domain.strict import Name, Scalar

MAX_PARAMETERS: Final = 64
# Choices and values in conditions, over all parameters.
MAX_LISTED: Final = 5_000

_PLAIN_NAMES: Final = frozenset(MlpConfig.model_fields) | {"layers"}


class Space(RootModel[dict[Name, AnyParameter]]):
    """All searched and fixed hyperparameters of a study, by name.

    The names are those of `MlpConfig`, with `layers` and either `units` (one width for all layers, or `per_layer`) or
    explicit `units_1` … `units_n`. Names left out take `MlpConfig`'s defaults.
    """

    model_config = {"frozen": True}

    @model_validator(mode="before")
    @classmethod
    def _few(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and len(raw) > MAX_PARAMETERS:
            msg = f"a space has at most {MAX_PARAMETERS} parameters, received {len(raw):,}"
            raise ValueError(msg)
        return raw

    @model_validator(mode="after")
    def _coherent(self) -> Space:
        n_listed = sum(map(_n_listed, self.root.values()))
        if n_listed > MAX_LISTED:
            msg = (
                f"a space lists at most {MAX_LISTED:,} choices and values of conditions in all, received {n_listed:,}; "
                "list fewer, or give ranges"
            )
            raise ValueError(msg)
        for name, parameter in self.root.items():
            self._check_name(name, parameter)
            self._check_values(name, parameter)
            self._check_condition(name, parameter)
        self._check_widths()
        self.ordered()
        return self

    def _check_name(self, name: str, parameter: Parameter) -> None:
        layer = layer_of(name)
        if name not in _PLAIN_NAMES and (layer is None or layer > MAX_LAYERS):
            known = f"{', '.join(sorted(_PLAIN_NAMES))} and {width_name(1)} to {width_name(MAX_LAYERS)}"
            meant = nearest(name, sorted(_PLAIN_NAMES))
            hint = f"did you mean {meant!r}? " if meant else ""
            msg = f"unknown parameter {name!r}; {hint}known are {known}"
            raise ValueError(msg)
        if getattr(parameter, "per_layer", False) and name != SHARED:
            msg = f"per_layer is for {SHARED}, received it for {name}"
            raise ValueError(msg)

    def _check_values(self, name: str, parameter: Parameter) -> None:
        for value in _extremes(parameter):
            _check_value(name, value)

    def _check_condition(self, name: str, parameter: Parameter) -> None:
        for parent, wanted in (parameter.when or {}).items():
            other = self.root.get(parent)
            if other is None or parent == name:
                msg = f"{name}: when names {parent!r}, which is not another parameter of the space"
                raise ValueError(msg)
            if other.values is None or getattr(other, "per_layer", False):
                msg = f"{name}: when needs a parameter with countable values, received {parent!r}"
                raise ValueError(msg)
            foreign = first_foreign(other, wanted)
            if foreign is not None:
                msg = f"{name}: {parent} never takes {foreign!r}"
                raise ValueError(msg)

    def _check_widths(self) -> None:
        explicit = [name for name in self.root if layer_of(name) is not None]
        if explicit and getattr(self.root.get(SHARED), "per_layer", False):
            msg = f"units per_layer and {explicit[0]} exclude each other"
            raise ValueError(msg)
        layers = self.root.get("layers")
        if layers is not None and layers.when:
            msg = "layers must not be conditional"
            raise ValueError(msg)

    @property
    def max_layers(self) -> int:
        """The deepest network of the space."""
        layers = self.root.get("layers")
        if layers is not None:
            return max(int(v) for v in layers.values or () if not isinstance(v, str))
        explicit = [layer for layer in map(layer_of, self.root) if layer is not None]
        return max(explicit, default=len(MlpConfig().units))

    def flat(self) -> dict[str, Parameter]:
        """Return the parameters as trials carry them: a per-layer `units` spelt out as `units_1` … `units_n`.

        `units_i` is active while ``i <= layers``; where `layers` is fixed or missing, always.
        """
        flat: dict[str, Parameter] = {}
        layers = self.root.get("layers")
        for name, parameter in self.root.items():
            if not getattr(parameter, "per_layer", False):
                flat[name] = parameter
                continue
            for layer in range(1, self.max_layers + 1):
                when = dict(parameter.when or {})
                depths = [] if layers is None else [v for v in layers.values or () if not isinstance(v, str)]
                if any(depth < layer for depth in depths):
                    when["layers"] = tuple(depth for depth in depths if depth >= layer)
                flat[width_name(layer)] = parameter.model_copy(update={"per_layer": False, "when": when or None})
        return flat

    def ordered(self) -> list[tuple[str, Parameter]]:
        """Return the flat parameters with every parameter after those its condition names.

        Raises:
            ValueError: Conditions form a circle.
        """
        flat = self.flat()
        done: dict[str, Parameter] = {}
        while len(done) < len(flat):
            ready = [n for n, p in flat.items() if n not in done and all(parent in done for parent in p.when or ())]
            if not ready:
                circle = ", ".join(sorted(set(flat) - set(done)))
                msg = f"conditions form a circle among {circle}"
                raise ValueError(msg)
            done.update({name: flat[name] for name in ready})
        return list(done.items())

    def searched(self) -> dict[str, Parameter]:
        """Return the flat parameters that can take more than one value."""
        return {name: p for name, p in self.flat().items() if p.values is None or len(p.values) > 1}

    def active(self, parameter: Parameter, params: Mapping[str, Scalar]) -> bool:
        """Return whether the parameter takes part, given the values chosen before it."""
        return all(
            parent in params and any(same(params[parent], value) for value in wanted)
            for parent, wanted in (parameter.when or {}).items()
        )

    def complete(self, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the point with fixed values filled in, checked to belong to the space.

        Raises:
            ValueError: A value is missing, unknown, inactive or outside its parameter.
        """
        point: dict[str, Scalar] = {}
        for name, parameter in self.ordered():
            if not self.active(parameter, point):
                continue
            values = parameter.values
            if name not in params and values is not None and len(values) == 1:
                point[name] = values[0]
                continue
            if name not in params:
                msg = f"{name} is missing from the point"
                raise ValueError(msg)
            if not parameter.contains(params[name]):
                msg = f"{name} can not be {params[name]!r} in this space"
                raise ValueError(msg)
            point[name] = params[name]
        for name in params:
            if name not in point:
                known = name in self.flat()
                msg = f"{name} is not active at this point" if known else f"{name} is not a parameter of this space"
                raise ValueError(msg)
        return point


def _n_listed(parameter: Parameter) -> int:
    choices = len(parameter.choices) if isinstance(parameter, CategoricalParameter) else 0
    return choices + sum(map(len, (parameter.when or {}).values()))


def _extremes(parameter: Parameter) -> Iterator[Scalar]:
    if isinstance(parameter, FloatParameter | IntParameter):
        yield from (parameter.low, parameter.high)
    else:
        yield from parameter.values


@cache
def _bounds_of(name: str) -> TypeAdapter[Any]:
    """Return what checks one value of a field of MlpConfig; of `units`, one layer's."""
    if name == SHARED:
        return TypeAdapter(Width)
    field = MlpConfig.model_fields[name]
    kind: Any = field.annotation
    for constraint in field.metadata:
        kind = Annotated[kind, constraint]
    return TypeAdapter(kind)


def _check_value(name: str, value: Scalar) -> None:
    """Check one value against the bounds of MlpConfig."""
    if name == "layers":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_LAYERS:
            msg = f"layers must be an integer from 0 to {MAX_LAYERS}, received {value!r}"
            raise ValueError(msg)
        return
    try:
        _bounds_of(SHARED if is_width(name) else name).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]["msg"]
        msg = f"{name} can not be {value!r}: {first[:1].lower()}{first[1:]}"
        raise ValueError(msg) from None
