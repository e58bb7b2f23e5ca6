"""The seven optimisers as one update formula: each is a column of coefficients.

    m' = m + pull * (aim * g - m)
    v' = v + square_pull * (g² - (v if square_fades))
    w' = w - shrink * w - scale * (m' + look_ahead * (m' - m) if by_moment else g) / (sqrt(v' + inside) + outside)

where `scale` of adam and adamw is `rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)` at step t. Constants are Keras's, and so
is their rounding: where Keras casts a Python number to the type of a weight, float32 lies between (`_single`).

No sum has two products: a compiler could contract either of them with the addition, and would choose otherwise in packs
of another size, so that a member's last bits depended on its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from hpsearch.domain.mlp import MlpConfig, Optimizer

_FIRST_MOMENT: Final = frozenset({"momentum", "nesterov", "adam", "adamw"})
_SECOND_MOMENT: Final = frozenset({"adagrad", "rmsprop", "adam", "adamw"})
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
        pull: Share of the way the first moment goes to its aim each step.
        aim: Where the first moment would settle, per gradient.
        look_ahead: Nesterov's share of the moment's change.
        by_moment: 1 if steps are made of the first moment, 0 if of the gradient.
        square_pull: Share of the way the second moment goes each step.
        square_fades: 1 if the second moment forgets, 0 if it only adds up.
        scale: Of the step, but for bias correction.
        corrected_scale: The same, times the bias correction.
        inside: Added to the second moment under the root.
        outside: Added to the root.
        beta_1: Of the bias correction; 0 switches it off.
        beta_2: Of the bias correction; 0 switches it off.
        shrink: Share of the kernels taken away each step (decoupled weight decay).
        l2: Factor of the squared kernels in the loss.
    """

    pull: float = 0.0
    aim: float = 0.0
    look_ahead: float = 0.0
    by_moment: float = 0.0
    square_pull: float = 0.0
    square_fades: float = 0.0
    scale: float = 0.0
    corrected_scale: float = 0.0
    inside: float = 1.0
    outside: float = 0.0
    beta_1: float = 0.0
    beta_2: float = 0.0
    shrink: float = 0.0
    l2: float = 0.0

    def column(self) -> tuple[float, ...]:
        """Return the coefficients in the order of `NAMES`."""
        return tuple(getattr(self, name) for name in NAMES)


NAMES: Final = tuple(field.name for field in fields(Rule))

# Changes nothing, whatever the gradient: for slots without a member.
IDLE: Final = Rule()


def keeps_first(optimizer: Optimizer) -> bool:
    """Return whether the optimiser keeps a first moment, or velocity, of each weight."""
    return optimizer in _FIRST_MOMENT


def keeps_second(optimizer: Optimizer) -> bool:
    """Return whether the optimiser keeps a second moment of each weight."""
    return optimizer in _SECOND_MOMENT


def n_moments(optimizer: Optimizer) -> int:
    """Return how many moments the optimiser keeps of each weight, 0 to 2."""
    return keeps_first(optimizer) + keeps_second(optimizer)


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
            return Rule(scale=rate, l2=l2)
        case "momentum" | "nesterov":
            return Rule(
                pull=1 - momentum,
                aim=-rate / (1 - momentum),
                look_ahead=momentum if config.optimizer == "nesterov" else 0.0,
                by_moment=1.0,
                scale=-1.0,
                l2=l2,
            )
        case "adagrad":
            return Rule(square_pull=1.0, scale=rate, inside=_EPSILON, l2=l2)
        case "rmsprop":
            return Rule(square_pull=1 - _RHO, square_fades=1.0, scale=rate, inside=_EPSILON, l2=l2)
        case "adam" | "adamw":
            return Rule(
                pull=1 - _BETA_1,
                aim=1.0,
                by_moment=1.0,
                square_pull=1 - _BETA_2,
                square_fades=1.0,
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
