"""MlpConfig: every hyperparameter of one multilayer perceptron, with unit, bounds and default.

A field's title says in a few words what it is: beside its row in the page's form.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field

from hpsearch.domain.layer_widths import SHARED, is_width, layer_of
from hpsearch.domain.strict import Bool, Float, Frozen, Int, Scalar

Activation = Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu", "selu"]
Optimizer = Literal["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"]
Init = Literal["auto", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"]

MAX_LAYERS: Final = 32
MAX_UNITS: Final = 65_536

Width = Annotated[Int, Field(ge=1, le=MAX_UNITS)]

# Optimisers that read `momentum`.
MOMENTUM_OPTIMIZERS: Final = frozenset({"momentum", "nesterov"})

# Activations whose variance He et al. (2015, arXiv 1502.01852) analyse: half the inputs are cut off.
_HE_ACTIVATIONS: Final = frozenset({"relu", "elu", "gelu", "silu"})


class MlpConfig(Frozen):
    """One multilayer perceptron and how it is optimised.

    Attributes:
        units: Width of each hidden layer, first to last, 1 to 65,536 each; empty for a linear model.
        activation: Nonlinearity of the hidden layers.
        learning_rate: Step size of the optimiser, 1e-12 to 1e3.
        weight_decay: L2 factor on the weights, not on the biases (loss + weight_decay * sum of squares), decoupled
            from the gradient for `adamw`; 0 to 1e3.
        dropout: Probability with which a hidden unit is dropped in training, 0 to below 1.
        input_dropout: Probability with which an input is dropped in training, 0 to below 1.
        optimizer: Update rule; `momentum` and `nesterov` are SGD with (Nesterov) momentum.
        momentum: Decay of the velocity, 0 to below 1; read by `momentum` and `nesterov` only.
        batch_size: Rows per gradient step, 1 to 1,048,576; more than the rows at hand means full batches.
        batch_norm: Whether batch normalisation stands between the affine map and the activation.
        init: Distribution of the initial weights; `auto` is He uniform for the relu family, LeCun normal for selu and
            Glorot uniform otherwise. Biases start at 0.
        lr_decay_factor: Multiplier of the learning rate when the validation loss stalls, above 0 to 1; None takes the
            study's own `training.lr_decay`, 1 switches the decay off.
        lr_decay_patience: Epochs without improvement before the learning rate is multiplied, 1 to 10,000; None takes
            the study's own.
        early_stopping_patience: Epochs without improvement before the trial stops, 1 to 10,000; None takes the
            study's own.
    """

    units: Annotated[tuple[Width, ...], Field(max_length=MAX_LAYERS, title="width of the layers")] = (64, 64)
    activation: Annotated[Activation, Field(title="nonlinearity")] = "relu"
    learning_rate: Annotated[Float, Field(ge=1e-12, le=1e3, title="step size")] = 1e-3
    weight_decay: Annotated[Float, Field(ge=0, le=1e3, title="L2 factor")] = 0.0
    dropout: Annotated[Float, Field(ge=0, lt=1, title="share of units dropped")] = 0.0
    input_dropout: Annotated[Float, Field(ge=0, lt=1, title="share of inputs dropped")] = 0.0
    optimizer: Annotated[Optimizer, Field(title="update rule")] = "adam"
    momentum: Annotated[Float, Field(ge=0, lt=1, title="of SGD with (Nesterov) momentum")] = 0.9
    batch_size: Annotated[Int, Field(ge=1, le=2**20, title="rows per step")] = 64
    batch_norm: Annotated[Bool, Field(title="batch normalisation")] = False
    init: Annotated[Init, Field(title="first weights")] = "auto"
    lr_decay_factor: Annotated[Float, Field(gt=0, le=1)] | None = Field(
        default=None, title="multiplies the learning rate when the loss stalls"
    )
    lr_decay_patience: Annotated[Int, Field(ge=1, le=10_000)] | None = Field(
        default=None, title="epochs before it does"
    )
    early_stopping_patience: Annotated[Int, Field(ge=1, le=10_000)] | None = Field(
        default=None, title="epochs without improvement before the end"
    )

    @property
    def resolved_init(self) -> str:
        """The initialisation actually used: `init`, with `auto` decided by the activation."""
        if self.init != "auto":
            return self.init
        if self.activation in _HE_ACTIVATIONS:
            return "he_uniform"
        return "lecun_normal" if self.activation == "selu" else "glorot_uniform"

    @classmethod
    def from_params(cls, params: Mapping[str, Scalar]) -> Self:
        """Return the network that a trial's flat parameters describe.

        Args:
            params: Values by name: any field of this class but `units`, which is given as `layers` with either
                `units` (one width for all) or `units_1` … `units_n`. Names left out take the defaults.

        Raises:
            pydantic.ValidationError: A value is outside its bounds or a name is unknown.
        """
        rest = {name: value for name, value in params.items() if not _is_structure(name, value)}
        return cls.model_validate({**rest, "units": units_of(params)})


_DEFAULT_UNITS: Final[tuple[int, ...]] = MlpConfig.model_fields["units"].default


def _is_structure(name: str, value: Scalar) -> bool:
    return is_width(name) or (name == "layers" and isinstance(value, int))


def units_of(params: Mapping[str, Scalar]) -> tuple[Any, ...]:
    """Return the width of each hidden layer of the network that a trial's flat parameters describe, unchecked.

    Args:
        params: As for `MlpConfig.from_params`; only depth and widths are read.
    """
    widths = {layer: value for name, value in params.items() if (layer := layer_of(name)) is not None}
    n_layers = params.get("layers")
    if not isinstance(n_layers, int):
        n_layers = max(widths, default=len(_DEFAULT_UNITS))
    shared = params.get(SHARED, _DEFAULT_UNITS[0])
    return tuple(widths.get(layer, shared) for layer in range(1, n_layers + 1))


def count_weights(units: tuple[int, ...], *, n_inputs: int, n_outputs: int, batch_norm: bool) -> int:
    """Return the number of trainable numbers of an MLP: kernels, biases, and scale and shift of batch normalisation.

    Args:
        units: Width of each hidden layer; empty for a linear model.
        n_inputs: Width of the prepared input (after one-hot coding and indicator columns), at least 1.
        n_outputs: Width of the output: classes for multiclass, 1 for binary and regression.
        batch_norm: Whether each hidden layer is normalised; moving averages are not trained and not counted.
    """
    widths = (n_inputs, *units, n_outputs)
    affine = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))
    return affine + (2 * sum(units) if batch_norm else 0)
