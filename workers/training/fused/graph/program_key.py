"""ProgramKey: what a program is compiled for, its shapes and the features its members need."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal, Self

from hpsearch.domain.mlp import Activation, MlpConfig
from hpsearch.domain.task import TaskName
from workers.training.engine.numerics import DType

Mode = Literal["xla", "graph"]

_FIRST_MOMENT: Final = frozenset({"momentum", "nesterov", "adam", "adamw"})
_SECOND_MOMENT: Final = frozenset({"adagrad", "rmsprop", "adam", "adamw"})


@dataclass(frozen=True)
class Features:
    """Features that cost time where nobody needs them, so a program has those of its members only.

    Attributes:
        activations: Sorted; a member's activation is an index into these.
        batch_norm: Whether some member normalises.
        dropout: Whether some member drops hidden units.
        input_dropout: Whether some member drops inputs.
        l2: Whether some member has weight decay in the loss.
        first: Whether some optimiser keeps a first moment (or velocity).
        second: Whether some optimiser keeps a second moment.
    """

    activations: tuple[Activation, ...]
    batch_norm: bool
    dropout: bool
    input_dropout: bool
    l2: bool
    first: bool
    second: bool

    @classmethod
    def of(cls, config: MlpConfig) -> Self:
        """Return what one network needs."""
        hidden = bool(config.units)
        return cls(
            activations=(config.activation,) if hidden else (),
            batch_norm=config.batch_norm and hidden,
            dropout=config.dropout > 0 and hidden,
            input_dropout=config.input_dropout > 0,
            l2=config.weight_decay > 0 and config.optimizer != "adamw",
            first=config.optimizer in _FIRST_MOMENT,
            second=config.optimizer in _SECOND_MOMENT,
        )

    def __or__(self, other: Features) -> Features:
        """Return what both need."""
        either = {name: getattr(self, name) or getattr(other, name) for name in _FEATURES}
        return Features(activations=tuple(sorted({*self.activations, *other.activations})), **either)

    def covers(self, other: Features) -> bool:
        """Return whether a program of these features can train a network that needs the others."""
        return (self | other) == self


_FEATURES: Final = tuple(field.name for field in fields(Features) if field.name != "activations")


@dataclass(frozen=True)
class ProgramKey:
    """Everything a program is compiled for; equal keys share one program.

    Attributes:
        task: Decides the loss.
        n_inputs: Width of the prepared input.
        n_outputs: Width of the output.
        n_train: Training rows held on the device, padding included.
        n_held_out: Rows judged each epoch, padding included.
        depth: Hidden layers; a member may have fewer.
        width: Units of every hidden layer, padding included.
        batch_size: Rows per step, at most `n_train`; a member may have fewer.
        n_slots: Members trained side by side.
        features: Features.
        least_depth: Hidden layers of a member at least; with 0 and hidden layers, `width` holds the output.
        dtype: Of weights and computation.
        mode: Compiled by XLA, or run operation by operation.
    """

    task: TaskName
    n_inputs: int
    n_outputs: int
    n_train: int
    n_held_out: int
    depth: int
    width: int
    batch_size: int
    n_slots: int
    features: Features
    least_depth: int
    dtype: DType = "float32"
    mode: Mode = "xla"

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths from input to output, padding included."""
        return (self.n_inputs, *[self.width] * self.depth, self.n_outputs)

    @property
    def holds_linear(self) -> bool:
        """Whether a linear network may be among deeper ones."""
        return self.least_depth == 0 < self.depth

    def place(self, layer: int, depth: int) -> int:
        """Return which layer of the program a layer of weights of a member is, both from 0.

        Hidden layers come first, the output layer last; a linear network among deeper ones is the first layer, whose
        result before any activation is its output.

        Args:
            layer: Of the member, at most `depth`.
            depth: Hidden layers of the member.
        """
        return layer if layer < depth or (depth == 0 and self.holds_linear) else self.depth
