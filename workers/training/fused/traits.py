"""What decides a compiled program: shapes, and which features any member of the pack needs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Literal, Self

from hpsearch.domain.metrics import Task
from hpsearch.domain.mlp import Activation, MlpConfig
from workers.training.engine.numerics import DType

Mode = Literal["xla", "graph"]

_FIRST_MOMENT: Final = frozenset({"momentum", "nesterov", "adam", "adamw"})
_SECOND_MOMENT: Final = frozenset({"adagrad", "rmsprop", "adam", "adamw"})


@dataclass(frozen=True)
class Traits:
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

    def __or__(self, other: Traits) -> Traits:
        """Return what both need."""
        either = {name: getattr(self, name) or getattr(other, name) for name in _FEATURES}
        return Traits(activations=tuple(sorted({*self.activations, *other.activations})), **either)

    def covers(self, other: Traits) -> bool:
        """Return whether a program of these traits can train a network that needs the others."""
        return (self | other) == self


_FEATURES: Final = tuple(field.name for field in fields(Traits) if field.name != "activations")


@dataclass(frozen=True)
class ProgramKey:
    """Everything a program is compiled for; equal keys share one program.

    Attributes:
        task: Decides the loss.
        n_inputs: Width of the prepared input.
        n_outputs: Width of the output.
        n_train: Training rows held on the device, padding included.
        n_held_out: Rows judged each epoch, padding included.
        hidden: Units of each hidden layer, padding included.
        batch_size: Rows per step, at most `n_train`.
        n_slots: Members trained side by side.
        traits: Features.
        dtype: Of weights and computation.
        mode: Compiled by XLA, or run operation by operation.
    """

    task: Task
    n_inputs: int
    n_outputs: int
    n_train: int
    n_held_out: int
    hidden: tuple[int, ...]
    batch_size: int
    n_slots: int
    traits: Traits
    dtype: DType = "float32"
    mode: Mode = "xla"

    @property
    def depth(self) -> int:
        """Hidden layers."""
        return len(self.hidden)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths from input to output, padding included."""
        return (self.n_inputs, *self.hidden, self.n_outputs)

    @property
    def n_steps(self) -> int:
        """Gradient steps an epoch has at most."""
        return -(-self.n_train // self.batch_size)
