"""Cases that cover every option of a network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

from hpsearch.domain.mlp import Activation, Optimizer
from hpsearch.domain.strict import Scalar
from hpsearch.domain.training import EarlyStopping, LrDecay, Training
from workers.training.conformance.arena import Case

_RATES: Final = {"sgd": 0.03, "momentum": 0.01, "nesterov": 0.01, "adagrad": 0.03}
# So that an epoch has 12 steps, or 13 with a last batch that is not full; about 400 in 34 epochs.
BATCHES: Final = {"iris": 8, "breast_cancer": 30, "diabetes": 24}
N_EPOCHS: Final = 34


def cases(data: str, n_epochs: int = N_EPOCHS) -> Iterator[Case]:
    """Yield cases that cover every optimiser, activation, depth and switch, for one data set, without dropout.

    Args:
        data: A key of `BATCHES`.
        n_epochs: Of each case at most.
    """
    decays = Training(
        max_epochs=n_epochs, early_stopping=EarlyStopping(patience=n_epochs), lr_decay=LrDecay(patience=3)
    )
    stops = Training(max_epochs=n_epochs, early_stopping=EarlyStopping(patience=4, min_delta=1e-3))
    base: dict[str, Scalar] = {"layers": 2, "units_1": 12, "units_2": 20, "batch_size": BATCHES[data]}
    seed = 0
    for optimizer in get_args(Optimizer):
        seed += 1
        rate = _RATES.get(optimizer, 0.002)
        yield Case(base | {"optimizer": optimizer, "learning_rate": rate, "weight_decay": 1e-3}, seed, decays)
    for activation in get_args(Activation):
        seed += 1
        yield Case(base | {"activation": activation, "learning_rate": 0.002}, seed, stops)
        yield Case(base | {"activation": activation, "batch_norm": True, "learning_rate": 0.002}, seed, decays)
    batch = BATCHES[data]
    yield Case({"layers": 0, "batch_size": batch, "learning_rate": 0.01, "weight_decay": 1e-3}, 90, decays)
    yield Case({"layers": 1, "units": 100, "batch_size": batch, "init": "lecun_normal"}, 91, stops)
    deep: dict[str, Scalar] = {"layers": 4, "units_1": 3, "units_2": 70, "units_3": 1, "units_4": 33}
    yield Case(deep | {"batch_size": batch, "activation": "tanh", "optimizer": "adamw"}, 92, decays)
    # More rows in a batch than there are, and one row in each.
    yield Case(base | {"batch_size": 100_000}, 93, decays)
    few = Training(max_epochs=2, early_stopping=None)
    yield Case({"layers": 1, "units": 5, "batch_size": 1, "optimizer": "rmsprop"}, 94, few)


def unlike(n: int, *, dropout: bool = True) -> list[Case]:
    """Return cases that differ in as much as possible, of a few epochs, for one data set."""
    training = Training(max_epochs=4, early_stopping=None)
    optimizers, activations = get_args(Optimizer), get_args(Activation)
    return [
        Case(
            {
                "layers": number % 4,
                **{f"units_{layer}": 3 + 7 * ((number + layer) % 8) for layer in range(1, number % 4 + 1)},
                "optimizer": optimizers[number % 7],
                "activation": activations[number % 7],
                "batch_norm": number % 3 == 0,
                "dropout": 0.2 if dropout and number % 2 else 0.0,
                "input_dropout": 0.1 if dropout and number % 4 == 1 else 0.0,
                "weight_decay": 1e-3,
                "learning_rate": 0.003 * (number % 8 + 1),
                "batch_size": (13, 32)[number // 2 % 2],
            },
            number,
            training,
        )
        for number in range(n)
    ]
