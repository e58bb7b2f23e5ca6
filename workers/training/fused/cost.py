"""What an epoch of a pack costs, in seconds and bytes, from its shape: a model, corrected by what is measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from workers.training.fused.machine import Machine

_BYTES: Final = {"float32": 4, "float64": 8}
# Weights, gradients, two moments and the best weights, some of them twice while a step is taken.
_COPIES: Final = 7
# Outside of the caches a step waits for memory.
_OUT_OF_CACHE: Final = 1.35
# Fewer members than this make XLA choose other instructions, and a trial's last bits would depend on its neighbours.
MIN_SLOTS: Final = 4
MAX_SLOTS: Final = 1024
# On a GPU every pack of a shape has so many slots at most, and so much memory.
_GPU_SLOTS: Final = 64
_GPU_BYTES: Final = 2 * 2**30
# A network this large fills the device alone, and slots without a member would cost as much.
_LARGE: Final = 2_000_000


@dataclass(frozen=True)
class Shape:
    """What the cost of one member depends on.

    Attributes:
        widths: From input to output, padding included.
        n_rows: Training rows of an epoch.
        n_held_out: Rows judged each epoch.
        batch_size: Rows per step.
        dtype: Of the weights.
    """

    widths: tuple[int, ...]
    n_rows: int
    n_held_out: int
    batch_size: int
    dtype: str = "float32"

    @property
    def n_weights(self) -> int:
        """Kernels and biases, padding included."""
        return sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.widths))

    @property
    def n_steps(self) -> int:
        """Gradient steps of an epoch."""
        return -(-self.n_rows // self.batch_size)

    @property
    def operations(self) -> float:
        """Floating-point operations of one member's epoch: forward and backward products, and the judging."""
        return 2.0 * self.n_weights * (3 * self.n_steps * self.batch_size + self.n_held_out)

    @property
    def slot_bytes(self) -> int:
        """Memory of one slot: its weights in all copies, a batch's activations, its order and its outputs."""
        width = _BYTES[self.dtype]
        activations = 4 * self.batch_size * sum(self.widths) * width
        judged = self.n_held_out * (self.widths[-1] * 2 + max(self.widths)) * width
        return _COPIES * self.n_weights * width + activations + judged + 4 * self.n_rows


def least_slots(shape: Shape) -> int:
    """Return how many slots the smallest pack of a shape has: a function of the shape alone."""
    return 1 if shape.n_weights > _LARGE else MIN_SLOTS


def gpu_slots(shape: Shape) -> int:
    """Return how many slots every pack of a shape has on a GPU, a power of two: a function of the shape alone.

    There cuBLAS chooses its arithmetic by the number of members, and a trial's last bits would depend on it: packs of 4
    and of 16 came out differently on an H200, whatever XLA was told. Packs of one size can not differ.
    """
    n_slots = least_slots(shape)
    while MIN_SLOTS <= n_slots < _GPU_SLOTS and 2 * n_slots * shape.slot_bytes <= _GPU_BYTES:
        n_slots *= 2
    return n_slots


def epoch_s(machine: Machine, shape: Shape, n_slots: int) -> float:
    """Return the seconds one lane needs for one epoch of a pack."""
    kernel_bytes = 4 * shape.n_weights * n_slots * _BYTES[shape.dtype]
    slowed = _OUT_OF_CACHE if machine.cache_bytes and kernel_bytes > machine.cache_bytes else 1.0
    return machine.call_s + shape.n_steps * machine.step_s + n_slots * shape.operations * slowed / machine.rate


def best_slots(
    machine: Machine,
    shape: Shape,
    *,
    n_members: int,
    n_epochs: float,
    price_s: Callable[[int], float],
    most: int = MAX_SLOTS,
) -> int:
    """Return how many slots a pack of a shape should have, a power of two: the size that is done first.

    Small packs waste time between steps, large ones leave the caches or stay half empty, each new size is compiled.

    Args:
        machine: The device.
        shape: Of the members.
        n_members: Waiting for a pack of this shape, at least 1.
        n_epochs: That a member is expected to train.
        price_s: Seconds until a program of so many slots is ready: 0 where it is.
        most: Not more slots than this.
    """
    n_slots = least_slots(shape)
    best, best_s = n_slots, math.inf
    while n_slots <= max(most, best):
        n_packs = -(-n_members // n_slots)
        total_s = n_packs * n_epochs * epoch_s(machine, shape, n_slots)
        total_s += price_s(n_slots)
        if total_s < best_s:
            best, best_s = n_slots, total_s
        n_slots *= 2
        # Larger than need be only where that program is ready.
        if n_slots * shape.slot_bytes > machine.memory_bytes // 2 or (n_packs == 1 and price_s(n_slots) > 0):
            break
    return best
