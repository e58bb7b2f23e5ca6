"""A study's space as the choice of programs sees it: every value a parameter may take, and some hundred points."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import islice
from typing import Final

from pydantic import ValidationError

from hpsearch.domain.layer_widths import is_width, layer_of
from hpsearch.domain.mlp import Activation, MlpConfig, count_weights
from hpsearch.domain.parameters import FloatParameter, IntParameter, Parameter
from hpsearch.domain.space import Space
from hpsearch.domain.strict import Scalar
from workers.training.fused.graph.program_key import Features

_N_POINTS: Final = 512
# Draws for each point that is kept: where a limit of weights refuses nearly all, fewer are kept.
_PATIENCE: Final = 20


def drawn(space: Space, *, n_inputs: int, n_outputs: int, max_weights: int | None) -> list[MlpConfig]:
    """Return networks as a random search would draw them, the same at every call; at most 512.

    Args:
        space: Of the study.
        n_inputs: Width of the prepared input.
        n_outputs: Width of the output.
        max_weights: Of a network; None for any number.
    """
    kept: list[MlpConfig] = []
    for point in islice(points(space, 0), _PATIENCE * _N_POINTS):
        if len(kept) == _N_POINTS:
            break
        try:
            config = MlpConfig.from_params(point)
        except ValidationError:
            # Each value is allowed, these together are not; the trial would fail, too.
            continue
        size = count_weights(config.units, n_inputs=n_inputs, n_outputs=n_outputs, batch_norm=config.batch_norm)
        if max_weights is None or size <= max_weights:
            kept.append(config)
    return kept


def points(space: Space, seed: int) -> Iterator[dict[str, Scalar]]:
    """Return random points of a space without end, the same for the same seed.

    Args:
        space: Of the study.
        seed: Any number.
    """
    # Of Python's generator only `random` is promised to be the same in every version.
    source = random.Random(seed)  # noqa: S311 - no secret
    ordered = space.ordered()
    while True:
        point: dict[str, Scalar] = {}
        for name, parameter in ordered:
            if space.active(parameter, point):
                point[name] = _value(parameter, source.random())
        yield point


def _value(parameter: Parameter, share: float) -> Scalar:
    """Return the value that lies at a share of the way through a parameter's range, 0 to below 1."""
    if isinstance(parameter, FloatParameter | IntParameter) and parameter.steps is None:
        low, high = parameter.low, parameter.high
        if isinstance(parameter, IntParameter):
            if parameter.log:
                return min(parameter.high, round(math.exp(_between(math.log(low - 0.5), math.log(high + 0.5), share))))
            return min(parameter.high, math.floor(_between(low, high + 1, share)))
        return math.exp(_between(math.log(low), math.log(high), share)) if parameter.log else _between(low, high, share)
    values = parameter.values or ()
    return values[int(share * len(values))]


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def depths(space: Space) -> tuple[int, ...]:
    """Return the numbers of hidden layers that networks of the space have, rising."""
    if "layers" in space.root:
        return tuple(sorted({int(value) for value in _possible(space, "layers")}))
    if any(parameter.when for name, parameter in space.flat().items() if layer_of(name) is not None):
        # The last layer that has a width is the last one; where none has, the default counts.
        return tuple(sorted({*range(1, space.max_layers + 1), len(MlpConfig().units)}))
    return (space.max_layers,)


def widest(space: Space) -> int:
    """Return the most units that a hidden layer of the space may have, or the default 64; 0 if there is no layer."""
    if depths(space)[-1] == 0:
        return 0
    names = [name for name in space.flat() if is_width(name)]
    # A layer without a width of its own takes the default.
    return max([*MlpConfig().units, *(int(value) for name in names for value in _possible(space, name))])


def batch_sizes(space: Space, n_rows: int) -> tuple[int, ...]:
    """Return the rows per step that networks of the space have where there are so many rows, rising.

    Of a range of more than 10,000 numbers its ends and the powers of two between them.
    """
    found = {int(value) for value in _possible(space, "batch_size")}
    parameter = space.flat().get("batch_size")
    if parameter is not None and parameter.values is None:
        found |= {2**power for power in range(21) if min(found) < 2**power < max(found)}
    return tuple(sorted({min(size, n_rows) for size in found}))


def features_of(space: Space) -> Features:
    """Return what a program must have to train any network of the space."""
    optimizers = set(_possible(space, "optimizer"))
    activations: list[Activation] = [name for name in _ACTIVATIONS if name in _possible(space, "activation")]
    one = MlpConfig(
        batch_norm=True in _possible(space, "batch_norm"),
        dropout=0.5 if _is_positive(space, "dropout") else 0.0,
        input_dropout=0.5 if _is_positive(space, "input_dropout") else 0.0,
        weight_decay=1.0 if _is_positive(space, "weight_decay") else 0.0,
        units=(1,) if depths(space)[-1] else (),
    )
    whole: Features | None = None
    for optimizer in _OPTIMIZERS:
        for activation in activations if optimizer in optimizers else ():
            each = Features.of(one.model_copy(update={"optimizer": optimizer, "activation": activation}))
            whole = each if whole is None else whole | each
    return whole or Features.of(one)


_ACTIVATIONS: Final[tuple[Activation, ...]] = ("relu", "tanh", "sigmoid", "elu", "gelu", "silu", "selu")
_OPTIMIZERS: Final = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw")


def _is_positive(space: Space, name: str) -> bool:
    return any(not isinstance(value, str) and value > 0 for value in _possible(space, name))


def _possible(space: Space, name: str) -> set[Scalar]:
    """Return every value a parameter may have, the default if it may be missing; of a range without end its ends."""
    return set(_values(space, name))


def _values(space: Space, name: str) -> Iterator[Scalar]:
    parameter = space.flat().get(name)
    if parameter is None or parameter.when:
        default = MlpConfig.model_fields[name].default if name in MlpConfig.model_fields and name != "units" else None
        if default is not None:
            yield default
    if parameter is None:
        return
    values = parameter.values
    if values is not None:
        yield from values
    elif isinstance(parameter, FloatParameter | IntParameter):
        yield from (parameter.low, parameter.high)
