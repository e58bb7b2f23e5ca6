"""Cost model of a program: seconds and bytes, from its shape and the constants of the kind of device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from workers.training.engine.numerics import DType
from workers.training.fused.planning.device_profile import DeviceProfile

_BYTES: Final = {"float32": 4, "float64": 8}
# Weights, gradients, two moments and the best weights, some of them twice while a step is taken.
_COPIES: Final = 7
# A program's slots take so much at most, whatever else the device has: bits must not depend on what is free.
_PROGRAM_BYTES: Final = 4 * 2**30
# Numbers of slots a program may have.
_SLOTS: Final = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128)


@dataclass(frozen=True)
class Shape:
    """What the cost of one slot of a program depends on.

    Attributes:
        widths: From input to output, padding included.
        n_rows: Training rows of an epoch.
        n_held_out: Rows judged each epoch.
        batch_size: Rows per step, those masked included.
        least_batch: Of a member at least: decides how many steps an epoch has.
        dtype: Of the weights.
    """

    widths: tuple[int, ...]
    n_rows: int
    n_held_out: int
    batch_size: int
    least_batch: int
    dtype: DType = "float32"

    @property
    def depth(self) -> int:
        """Hidden layers."""
        return len(self.widths) - 2

    @property
    def n_weights(self) -> int:
        """Kernels and biases, padding included."""
        return sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.widths))

    @property
    def n_steps(self) -> int:
        """Gradient steps of an epoch, of the member that takes most."""
        return -(-self.n_rows // self.least_batch)

    @property
    def slot_bytes(self) -> int:
        """Memory of one slot: its weights in all copies, a batch's activations, its order and its outputs."""
        width = _BYTES[self.dtype]
        activations = 4 * self.batch_size * sum(self.widths) * width
        judged = self.n_held_out * (self.widths[-1] * 2 + max(self.widths)) * width
        return _COPIES * self.n_weights * width + activations + judged + 4 * self.n_rows


def slot_epoch_s(device: DeviceProfile, shape: Shape) -> float:
    """Return the seconds one more slot adds to an epoch: forward and backward products, updates, and the judging."""
    operations = 2.0 * shape.n_weights * (3 * shape.n_steps * shape.batch_size + shape.n_held_out)
    return operations / device.rate + shape.n_steps * shape.n_weights * device.weight_s


def overhead_s(device: DeviceProfile, shape: Shape) -> float:
    """Return the seconds an epoch takes before it has computed anything."""
    return device.call_s + shape.n_steps * (device.step_s + (shape.depth + 1) * device.layer_s)


def compile_s(device: DeviceProfile, depth: int) -> float:
    """Return the seconds to trace and compile a program of so many hidden layers."""
    return device.compile_s + depth * device.compile_layer_s


@dataclass(frozen=True)
class Load:
    """What a program is to do.

    Attributes:
        n_members: That it trains in all, at least 1 or a fraction of one where it may not be needed.
        n_open: Members that are there at the same time, on average where the search limits them.
        n_peak: Likewise, at busy moments.
        n_epochs: Of a member, on average.
        max_epochs: Of a member at most.
        n_folds: Packs with this load each.
    """

    n_members: float
    n_open: float
    n_peak: float
    n_epochs: float
    max_epochs: int
    n_folds: int = 1


def best_slots(device: DeviceProfile, shape: Shape, load: Load) -> tuple[int, float]:
    """Return how many slots a program should have, and the seconds it then trains, compiling left out.

    Few slots take members one after another; many are empty at the end, and while the search has no more to suggest.
    """
    overhead, slot = overhead_s(device, shape), slot_epoch_s(device, shape)
    best, best_s = 1, math.inf
    for n_slots in _SLOTS:
        if n_slots > 1 and n_slots * shape.slot_bytes > _PROGRAM_BYTES:
            break
        # Where busy moments find no free slot, calmer ones leave some empty.
        n_filled = load.n_open if n_slots >= load.n_peak else n_slots * load.n_open / load.n_peak
        rounds = max(1.0, load.n_members / max(1.0, n_filled))
        # The last members go on while the pack empties.
        n_epochs = load.n_epochs * rounds + (load.max_epochs - load.n_epochs)
        total_s = load.n_folds * min(1.0, load.n_members) * n_epochs * (overhead + n_slots * slot)
        if total_s < best_s:
            best, best_s = n_slots, total_s
    return best, best_s


def keras_s(device: DeviceProfile, shape: Shape, n_epochs: float) -> float:
    """Return the seconds plain Keras takes for one trial."""
    step_s = device.keras_step_s + slot_epoch_s(device, shape) / shape.n_steps
    return device.keras_s + n_epochs * (shape.n_steps * step_s + 10 * device.keras_step_s)
