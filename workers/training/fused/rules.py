"""The seven optimisers as one update formula: each is a column of coefficients.

    m' = m + (gradient_in * g - moment_out * m)
    v' = v + (square_in * g² - square_out * v)
    w' = w * (1 - shrink) - (moment_scale * m' + gradient_scale * g) / (sqrt(v' + inside) + outside)

where `moment_scale` of adam and adamw is `rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)` at step t. Constants are Keras's,
and so is their rounding: where Keras casts a Python number to the type of a weight, float32 lies between (`_single`).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import Final

import numpy as np

from hpsearch.domain.mlp import MlpConfig

_BETA_1: Final = 0.9
_BETA_2: Final = 0.999
_RHO: Final = 0.9
_EPSILON: Final = 1e-7
# As float32 holds it, see above.
ADAGRAD_START: Final = float(np.float32(0.1))


@dataclass(frozen=True)
class Rule:
    """Coefficients of one member in one epoch.

    Attributes:
        gradient_in: Of the gradient in the first moment.
        moment_out: Share of the first moment forgotten each step.
        square_in: Of the squared gradient in the second moment.
        square_out: Share of the second moment forgotten each step.
        moment_scale: Of the first moment in the step, but for bias correction.
        corrected_scale: The same, times the bias correction.
        gradient_scale: Of the gradient itself in the step.
        inside: Added to the second moment under the root.
        outside: Added to the root.
        beta_1: Of the bias correction; 0 switches it off.
        beta_2: Of the bias correction; 0 switches it off.
        shrink: Share of the kernels taken away each step (decoupled weight decay).
        l2: Factor of the squared kernels in the loss.
    """

    gradient_in: float = 0.0
    moment_out: float = 0.0
    square_in: float = 0.0
    square_out: float = 0.0
    moment_scale: float = 0.0
    corrected_scale: float = 0.0
    gradient_scale: float = 0.0
    inside: float = 1.0
    outside: float = 0.0
    beta_1: float = 0.0
    beta_2: float = 0.0
    shrink: float = 0.0
    l2: float = 0.0

    def column(self) -> tuple[float, ...]:
        """Return the coefficients in the order of `NAMES`."""
        return astuple(self)


NAMES: Final = tuple(field.name for field in fields(Rule))

# Changes nothing, whatever the gradient: for slots without a member.
IDLE: Final = Rule()


def rule_of(config: MlpConfig, rate: float) -> Rule:
    """Return the coefficients of a member.

    Args:
        config: The network.
        rate: Its learning rate now, as the type of its weights holds it.
    """
    l2 = 0.0 if config.optimizer == "adamw" else _single(config.weight_decay)
    momentum = _single(config.momentum)
    match config.optimizer:
        case "sgd":
            return Rule(gradient_scale=rate, l2=l2)
        case "momentum":
            return Rule(gradient_in=-rate, moment_out=1 - momentum, moment_scale=-1.0, l2=l2)
        case "nesterov":
            return Rule(
                gradient_in=-rate,
                moment_out=1 - momentum,
                moment_scale=-momentum,
                gradient_scale=rate,
                l2=l2,
            )
        case "adagrad":
            return Rule(square_in=1.0, gradient_scale=rate, inside=_EPSILON, l2=l2)
        case "rmsprop":
            return Rule(square_in=1 - _RHO, square_out=1 - _RHO, gradient_scale=rate, inside=_EPSILON, l2=l2)
        case "adam" | "adamw":
            return Rule(
                gradient_in=1 - _BETA_1,
                moment_out=1 - _BETA_1,
                square_in=1 - _BETA_2,
                square_out=1 - _BETA_2,
                corrected_scale=rate,
                inside=0.0,
                outside=_EPSILON,
                beta_1=_single(_BETA_1),
                beta_2=_single(_BETA_2),
                shrink=rate * _single(config.weight_decay) if config.optimizer == "adamw" else 0.0,
                l2=l2,
            )


def _single(number: float) -> float:
    """Return the number as float32 holds it."""
    return float(np.float32(number))
