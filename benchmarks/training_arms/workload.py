"""What is trained: the data sets, the fixed lists of trials on them, and their useful arithmetic.

The list `plain` has one optimiser, one activation and one batch size, so that shapes alone differ; it is kinder than
what people search. The list `full` is drawn from the space of `examples/full.yaml`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

if TYPE_CHECKING:
    from hpsearch.domain.parameters import Parameter

MAX_EPOCHS: Final = 20
# Of all rows; digits has 1,347 training rows then. No test rows: nothing is chosen here.
VALIDATION_FRACTION: Final = 0.25
_SEED: Final = 20_261_121
ListName = Literal["plain", "full"]
LISTS: Final[tuple[ListName, ...]] = ("plain", "full")
_FULL: Final = Path(__file__).parents[2] / "examples" / "full.yaml"


@dataclass(frozen=True)
class DataSet:
    """A data set and the search space on it.

    Attributes:
        kind: Whether scikit-learn brings it or the product generates it.
        source: Its name there.
        layers: Fewest and most hidden layers.
        units: Fewest and most units of each.
        batch_size: Rows per gradient step.
        about: For the heading.
    """

    kind: Literal["builtin", "generated"]
    source: str
    layers: tuple[int, int]
    units: tuple[int, int]
    batch_size: int
    about: str


SETS: Final[dict[str, DataSet]] = {
    "digits": DataSet("builtin", "digits", (1, 3), (16, 256), 64, "1,797 x 64, 10 classes"),
    "medium": DataSet("generated", "medium", (1, 3), (16, 256), 64, "generated, 20,000 x 50, 5 classes"),
    "large": DataSet("generated", "large", (1, 3), (16, 256), 64, "generated, 200,000 x 100, 10 classes"),
    "churn": DataSet("generated", "churn", (1, 4), (384, 384), 256, "generated, 6,400 x 11, binary"),
}


@dataclass(frozen=True)
class Trial:
    """One entry of the list.

    Attributes:
        number: From 0.
        units: Of each hidden layer.
        learning_rate: Of the optimiser.
        weight_decay: Decoupled for AdamW, part of the loss for the others.
        batch_size: Rows per gradient step.
        activation: Of the hidden layers.
        optimizer: By the product's name.
        more: Further parameters of the product: momentum, dropout, batch normalisation, initialisation.
    """

    number: int
    units: tuple[int, ...]
    learning_rate: float
    weight_decay: float
    batch_size: int
    activation: str = "relu"
    optimizer: str = "adamw"
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """Decides initial weights and the order of rows, in every arm by its own means."""
        return self.number + 1

    @property
    def params(self) -> dict[str, Any]:
        """The trial as a study's parameters."""
        widths = {f"units_{layer}": width for layer, width in enumerate(self.units, start=1)}
        rest = {"learning_rate": self.learning_rate, "weight_decay": self.weight_decay, "batch_size": self.batch_size}
        chosen = {"activation": self.activation, "optimizer": self.optimizer}
        return {"layers": len(self.units), **widths, **rest, **chosen, **self.more}

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Self:
        """Return the trial that `asdict` and JSON made a mapping of."""
        return cls(**{**stored, "units": tuple(stored["units"])})

    @classmethod
    def of_params(cls, number: int, params: dict[str, Any]) -> Self:
        """Return the trial of a study's parameters, the widths of its layers spelt out."""
        units = tuple(int(params[f"units_{layer}"]) for layer in range(1, params["layers"] + 1))
        named = {name: params[name] for name in _FIELDS}
        rest = {name: value for name, value in params.items() if not name.startswith(("units_", "layers"))}
        return cls(number, units, **named, more={name: value for name, value in rest.items() if name not in _FIELDS})


_FIELDS: Final = ("learning_rate", "weight_decay", "batch_size", "activation", "optimizer")


def trial_list(name: str, n_trials: int, which: ListName = "plain") -> list[Trial]:
    """Return the first trials of a set's list: always the same, a longer list begins with the shorter one.

    plain: layers are uniform, units of each layer, learning rate (1e-4 to 1e-2) and weight decay (1e-6 to 1e-2)
    log-uniform. full: each parameter as `examples/full.yaml` says, conditions included, uniform or log-uniform.

    Args:
        name: One of `SETS`.
        n_trials: At least 1.
        which: Of the lists.
    """
    return _full_list(name, n_trials) if which == "full" else _plain_list(name, n_trials)


def _plain_list(name: str, n_trials: int) -> list[Trial]:
    space, draw = SETS[name], random.Random(f"{_SEED} {name}")
    trials = []
    for number in range(n_trials):
        depth = space.layers[0] + int(draw.random() * (space.layers[1] - space.layers[0] + 1))
        units = tuple(round(_log_uniform(draw, *space.units)) for _ in range(depth))
        rates = _log_uniform(draw, 1e-4, 1e-2), _log_uniform(draw, 1e-6, 1e-2)
        trials.append(Trial(number, units, *rates, space.batch_size))
    return trials


def _full_list(name: str, n_trials: int) -> list[Trial]:
    from hpsearch.studyfile.reader import load_study  # the arms of plain Keras import this file, too, and not that

    space, draw = load_study(_FULL).definition().space, random.Random(f"{_SEED} full {name}")
    trials = []
    for number in range(n_trials):
        params: dict[str, Any] = {}
        for parameter, definition in space.ordered():
            if space.active(definition, params):
                params[parameter] = _drawn(draw, definition)
        trials.append(Trial.of_params(number, params))
    return trials


def _drawn(draw: random.Random, definition: Parameter) -> Any:
    """Return a value of a parameter: evenly among choices, else within the bounds as the definition says."""
    from hpsearch.domain.parameters import FloatParameter, IntParameter

    if not isinstance(definition, FloatParameter | IntParameter) or definition.steps is not None:
        choices = definition.values or ()
        return choices[int(draw.random() * len(choices))]
    low, high = definition.low, definition.high
    value = _log_uniform(draw, low, high) if definition.log else low + (high - low) * draw.random()
    if isinstance(definition, FloatParameter):
        return value
    # Without the logarithm evenly among integers, the ends as likely as the others.
    return round(value) if definition.log else low + int((high - low + 1) * (value - low) / max(1, high - low))


def _log_uniform(draw: random.Random, low: float, high: float) -> float:
    return float(low * (high / low) ** draw.random())


@dataclass(frozen=True)
class Facts:
    """Sizes of a prepared set.

    Attributes:
        task: `multiclass` or `binary`.
        n_inputs: Width of the prepared input.
        n_outputs: Of the networks.
        n_train: Rows of the gradient steps.
        n_validation: Rows judged after each epoch.
    """

    task: str
    n_inputs: int
    n_outputs: int
    n_train: int
    n_validation: int

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return what `prepare` wrote."""
        return cls(**json.loads((folder / "facts.json").read_text()))

    def write(self, folder: Path) -> None:
        """Leave the facts beside the data."""
        (folder / "facts.json").write_text(json.dumps(asdict(self)))


def useful_operations(trials: Sequence[Trial], facts: Facts) -> float:
    """Return the floating-point operations that training the trials needs, each at its own widths, without padding.

    Matrix products alone, a multiply-add counted as 2: forward, gradient of the weights, gradient of the inputs but for
    the first layer, and the judging of the validation rows after each epoch.
    """
    total = 0
    for trial in trials:
        products = [n_in * n_out for n_in, n_out in pairwise((facts.n_inputs, *trial.units, facts.n_outputs))]
        trained = 3 * sum(products) - products[0]
        total += 2 * MAX_EPOCHS * (trained * facts.n_train + sum(products) * facts.n_validation)
    return float(total)
