"""The two networks every search has to beat: a linear model and a sane default."""

from __future__ import annotations

from typing import Final

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.parameters import FixedParameter
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Params
from hpsearch.sampling.request import NetworkShape
from hpsearch.sampling.weights import obeys

# A linear model has no hidden layers to upset: ten times the network's step size converges well before its budget ends.
LINEAR_LEARNING_RATE: Final = 1e-2

# Fixed values of the space that say how to train rather than what: a baseline keeps to them.
_KEPT: Final = ("batch_size", "init", "lr_decay_factor", "lr_decay_patience", "early_stopping_patience")
_DEFAULT: Final = MlpConfig()


def linear_baseline(definition: StudyDefinition) -> Params:
    """Return the linear model of a study: no hidden layer, no regularisation, Adam at 0.01.

    Args:
        definition: Its space's fixed batch size, learning-rate decay and early stopping are kept.
    """
    return {"layers": 0, "learning_rate": LINEAR_LEARNING_RATE, "optimizer": "adam", **_kept(definition)}


def mlp_baseline(definition: StudyDefinition, shape: NetworkShape) -> Params:
    """Return the default network of a study: two hidden layers of 64 relu units, Adam at 0.001, no regularisation.

    Where that breaks the weight limit both layers shrink to the widest allowed size, then to one layer; under a limit
    that no hidden layer obeys it is a single unit.

    Args:
        definition: Its space's fixed batch size, initialisation, learning-rate decay and early stopping are kept.
        shape: Widths of input and output, and the weight limit.
    """
    deepest, widest = len(_DEFAULT.units), _DEFAULT.units[0]
    sizes = ((layers, units) for layers in range(deepest, 0, -1) for units in range(widest, 0, -1))
    layers, units = next((size for size in sizes if _fits(*size, shape)), (1, 1))
    return {
        "layers": layers,
        "units": units,
        "activation": _DEFAULT.activation,
        "learning_rate": _DEFAULT.learning_rate,
        "optimizer": _DEFAULT.optimizer,
        **_kept(definition),
    }


def _fits(layers: int, units: int, shape: NetworkShape) -> bool:
    return obeys({"layers": layers, "units": units}, shape)


def _kept(definition: StudyDefinition) -> Params:
    kept: Params = {"batch_size": _DEFAULT.batch_size}
    for name in _KEPT:
        parameter = definition.space.root.get(name)
        if isinstance(parameter, FixedParameter) and parameter.when is None:
            kept[name] = parameter.value
    return kept
