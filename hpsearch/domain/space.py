"""The search space: parameters, when they are active, and which points belong to it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, RootModel, model_validator

from hpsearch.domain.mlp import MAX_LAYERS, MlpConfig
from hpsearch.domain.strict import Bool, Float, Frozen, Int, Name, Scalar

MAX_CHOICES: Final = 1_000
MAX_STEPS: Final = 10_000
MAX_PARAMETERS: Final = 64

# A parameter's name, and each value of it under which another parameter is active.
Condition = Annotated[
    dict[Name, Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=MAX_CHOICES)]],
    Field(min_length=1, max_length=8),
]

_PER_LAYER: Final = re.compile(r"units_([1-9][0-9]?)")
_PLAIN_NAMES: Final = frozenset(MlpConfig.model_fields) | {"layers"}


def same(left: Scalar, right: Scalar) -> bool:
    """Return whether two values are the same choice: ``1`` and ``1.0`` are, ``1`` and ``true`` are not."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


class _Conditional(Frozen):
    when: Condition | None = Field(
        default=None, description="Active only while each named parameter has one of these values."
    )


def _check_bounds(low: float, high: float, *, log: bool, steps: int | None) -> None:
    if low > high:
        msg = f"low must not exceed high, received low {low} and high {high}"
        raise ValueError(msg)
    if log and low <= 0:
        msg = f"log needs bounds above 0 (real values, not exponents), received low {low}"
        raise ValueError(msg)
    if steps is not None and steps > 1 and low == high:
        msg = f"{steps} steps need low below high, received {low} for both"
        raise ValueError(msg)


def _evenly(low: float, high: float, steps: int, *, log: bool) -> list[float]:
    if steps == 1:
        return [low]
    if log:
        ratio = math.log(high / low) / (steps - 1)
        inner = [low * math.exp(ratio * i) for i in range(1, steps - 1)]
    else:
        inner = [low + (high - low) * i / (steps - 1) for i in range(1, steps - 1)]
    return [low, *inner, high]


class FloatParameter(_Conditional):
    """A real number from `low` to `high`, both ends included.

    `log` draws uniformly in the logarithm; the bounds stay real values. `steps` restricts the parameter to that many
    evenly spaced points (in the logarithm when `log`), for every algorithm.
    """

    type: Literal["float"]
    low: Float
    high: Float
    log: Bool = False
    steps: Annotated[Int, Field(ge=1, le=MAX_STEPS)] | None = None

    @model_validator(mode="after")
    def _bounds(self) -> FloatParameter:
        _check_bounds(self.low, self.high, log=self.log, steps=self.steps)
        return self

    @property
    def values(self) -> tuple[Scalar, ...] | None:
        """The points of a stepped parameter, rising; None when continuous (or its one point when low = high)."""
        if self.steps is None:
            return (self.low,) if self.low == self.high else None
        return tuple(_evenly(self.low, self.high, self.steps, log=self.log))

    def contains(self, value: Scalar) -> bool:
        """Return whether the value may be taken."""
        if isinstance(value, bool | str):
            return False
        if self.steps is not None:
            return any(
                math.isclose(value, point, rel_tol=1e-9) for point in self.values or () if not isinstance(point, str)
            )
        return self.low <= value <= self.high


class IntParameter(_Conditional):
    """An integer from `low` to `high`, both ends included.

    `log` favours small values evenly per octave. `steps` restricts it to that many evenly spaced integers (in the
    logarithm when `log`; duplicates after rounding fall together). `per_layer` (for `units` only) gives each hidden
    layer its own width: `units_1` … `units_n`.
    """

    type: Literal["int"]
    low: Int
    high: Int
    log: Bool = False
    steps: Annotated[Int, Field(ge=1, le=MAX_STEPS)] | None = None
    per_layer: Bool = False

    @model_validator(mode="after")
    def _bounds(self) -> IntParameter:
        _check_bounds(self.low, self.high, log=self.log, steps=self.steps)
        return self

    @property
    def values(self) -> tuple[Scalar, ...] | None:
        """The points of the parameter, rising; None when there are more than 10,000 of them and no `steps`."""
        if self.steps is not None:
            return tuple(dict.fromkeys(round(v) for v in _evenly(self.low, self.high, self.steps, log=self.log)))
        if self.high - self.low >= MAX_STEPS:
            return None
        return tuple(range(self.low, self.high + 1))

    def contains(self, value: Scalar) -> bool:
        """Return whether the value may be taken."""
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        if self.steps is not None:
            return value in (self.values or ())
        return self.low <= value <= self.high


class CategoricalParameter(_Conditional):
    """One of a list of values, without an order."""

    type: Literal["categorical"]
    choices: Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=MAX_CHOICES)]
    per_layer: Bool = False

    @model_validator(mode="after")
    def _distinct(self) -> CategoricalParameter:
        for i, choice in enumerate(self.choices):
            if any(same(choice, earlier) for earlier in self.choices[:i]):
                msg = f"choices must differ, received {choice!r} twice"
                raise ValueError(msg)
        return self

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The choices."""
        return self.choices

    def contains(self, value: Scalar) -> bool:
        """Return whether the value may be taken."""
        return any(same(value, choice) for choice in self.choices)


class FixedParameter(_Conditional):
    """One value that is not searched; a bare value in the space means this."""

    type: Literal["fixed"]
    value: Scalar

    @property
    def values(self) -> tuple[Scalar, ...]:
        """The one value."""
        return (self.value,)

    def contains(self, value: Scalar) -> bool:
        """Return whether the value may be taken."""
        return same(value, self.value)


Parameter = FloatParameter | IntParameter | CategoricalParameter | FixedParameter


def _spell_out(raw: Any) -> Any:
    """Turn the short forms (a bare value; ``values: […]``) into a full parameter."""
    if isinstance(raw, bool | int | float | str):
        return {"type": "fixed", "value": raw}
    if isinstance(raw, dict) and "values" in raw and raw.get("type", "categorical") in ("categorical", "int", "float"):
        short = dict(raw)
        kind = short.pop("type", "categorical")
        unwanted = sorted(set(short) - {"values", "when", "per_layer"})
        if unwanted:
            msg = f"values stand alone, received also {', '.join(unwanted)}"
            raise ValueError(msg)
        values = short.pop("values")
        if kind == "int" and isinstance(values, list) and not all(type(v) is int for v in values):
            msg = f"values of an int parameter must be integers, received {values!r}"
            raise ValueError(msg)
        if kind == "float" and isinstance(values, list):
            if not all(type(v) in (int, float) for v in values):
                msg = f"values of a float parameter must be numbers, received {values!r}"
                raise ValueError(msg)
            values = [float(v) for v in values]
        return {"type": "categorical", "choices": values, **short}
    return raw


AnyParameter = Annotated[Parameter, Field(discriminator="type"), BeforeValidator(_spell_out)]


class Space(RootModel[dict[Name, AnyParameter]]):
    """All searched and fixed hyperparameters of a study, by name.

    The names are those of `MlpConfig`, with `layers` and either `units` (one width for all layers, or `per_layer`) or
    explicit `units_1` … `units_n`. Names left out take `MlpConfig`'s defaults.
    """

    model_config = {"frozen": True}

    @model_validator(mode="after")
    def _coherent(self) -> Space:
        if len(self.root) > MAX_PARAMETERS:
            msg = f"a space has at most {MAX_PARAMETERS} parameters, received {len(self.root)}"
            raise ValueError(msg)
        for name, parameter in self.root.items():
            self._check_name(name, parameter)
            self._check_values(name, parameter)
            self._check_condition(name, parameter)
        self._check_widths()
        self.ordered()
        return self

    def _check_name(self, name: str, parameter: Parameter) -> None:
        if name not in _PLAIN_NAMES and not _PER_LAYER.fullmatch(name):
            msg = f"unknown parameter {name!r}; known are {', '.join(sorted(_PLAIN_NAMES))} and units_1, units_2, …"
            raise ValueError(msg)
        if getattr(parameter, "per_layer", False) and name != "units":
            msg = f"per_layer is for units, received it for {name}"
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
            for value in wanted:
                if not other.contains(value):
                    msg = f"{name}: {parent} never takes {value!r}"
                    raise ValueError(msg)

    def _check_widths(self) -> None:
        explicit = [name for name in self.root if _PER_LAYER.fullmatch(name)]
        if explicit and getattr(self.root.get("units"), "per_layer", False):
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
        explicit = [int(m[1]) for m in map(_PER_LAYER.fullmatch, self.root) if m]
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
                flat[f"units_{layer}"] = parameter.model_copy(update={"per_layer": False, "when": when or None})
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


def _extremes(parameter: Parameter) -> Iterator[Scalar]:
    if isinstance(parameter, FloatParameter | IntParameter):
        yield from (parameter.low, parameter.high)
    else:
        yield from parameter.values


def _check_value(name: str, value: Scalar) -> None:
    """Check one value against the bounds of MlpConfig."""
    if name == "layers":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_LAYERS:
            msg = f"layers must be an integer from 0 to {MAX_LAYERS}, received {value!r}"
            raise ValueError(msg)
        return
    if name == "units" or _PER_LAYER.fullmatch(name):
        raw: dict[str, Any] = {"units": (value,)}
    else:
        raw = {name: value}
    try:
        MlpConfig.model_validate(raw)
    except ValueError as error:
        first = error.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
        msg = f"{name} can not be {value!r}: {first[:1].lower()}{first[1:]}"
        raise ValueError(msg) from None
