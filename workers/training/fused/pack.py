"""Pack: the slots of one program, the members in them, and one epoch of all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from workers.training.engine.initial import initial_kernels
from workers.training.engine.member import Member
from workers.training.engine.numerics import Arrays
from workers.training.engine.optimizer_coefficients import IDLE, NAMES, rule_of
from workers.training.engine.stacked_scores import Metrics
from workers.training.fused import slots
from workers.training.fused.fold_data import FoldData
from workers.training.fused.graph.forward import Facts
from workers.training.fused.graph.masks import threshold_of
from workers.training.fused.graph.program import EpochInputs, Program, State


@dataclass(frozen=True)
class EpochResult:
    """What one epoch of a pack came to, in the host's memory.

    Attributes:
        train_loss: (K,).
        is_finite: (K,) bool.
        scores: Of the members on the held-out rows, by slot; None where an output was not finite.
        took_s: Seconds of the call, scoring left out.
        is_first: Whether it was the program's first, so that compiling is included.
    """

    train_loss: npt.NDArray[Any]
    is_finite: npt.NDArray[np.bool_]
    scores: Mapping[int, Metrics | None]
    took_s: float
    is_first: bool


class Pack:
    """Members training side by side.

    Args:
        program: Its epoch.
        data: The rows, of the fold all members belong to.

    Attributes:
        members: By slot; slots that are free are missing.
        n_epochs: Epochs run so far.
    """

    def __init__(self, program: Program, data: FoldData) -> None:
        self.program = program
        self.key = program.key
        self.data = data
        self.members: dict[int, Member] = {}
        self.n_epochs = 0
        self._state: State = slots.empty_state(self.key)
        self._steps = np.zeros(self.key.n_slots, np.int32)
        self._keep = np.zeros(self.key.n_slots, bool)
        self._facts: Facts | None = None
        self._n_rows = tf.constant(data.n_rows)

    @property
    def n_free(self) -> int:
        """Slots without a member."""
        return self.key.n_slots - len(self.members)

    def admit(self, members: list[Member]) -> None:
        """Give fresh members the first free slots; at most `n_free` of them."""
        free = (slot for slot in range(self.key.n_slots) if slot not in self.members)
        fresh = dict(zip(free, members, strict=False))
        kernels = {slot: (member.config, self._kernels(member)) for slot, member in fresh.items()}
        self._state = slots.filled(self.key, self._state, kernels)
        for slot, member in fresh.items():
            self.members[slot] = member
            self._steps[slot] = 0
            self._keep[slot] = False
        self._facts = None

    def _kernels(self, member: Member) -> Arrays:
        return initial_kernels(
            member.config,
            n_inputs=self.key.n_inputs,
            n_outputs=self.key.n_outputs,
            seed=member.seed,
            dtype=self.key.dtype,
        )

    def release(self, slot: int) -> Member:
        """Free a slot and return who sat in it; its weights are still there until the slot is given away."""
        self._facts = None
        self._keep[slot] = False
        return self.members.pop(slot)

    def run(self) -> EpochResult:
        """Train one epoch of every member and score the held-out rows; safe beside other packs' epochs."""
        started_s, is_first = time.perf_counter(), not self.program.has_run
        self._state, outputs = self.program(self.data.tensors, self._state, self._epoch_inputs())
        train_loss, is_finite = outputs.train_loss.numpy(), outputs.is_finite.numpy()
        raw = outputs.raw.numpy()[:, : self.data.n_held_out]
        self._steps += [
            -(-self.data.n_rows // self._batch_size(member)) if (member := self.members.get(slot)) else 0
            for slot in range(self.key.n_slots)
        ]
        self.n_epochs += 1
        took_s = time.perf_counter() - started_s
        occupied = sorted(self.members)
        scores = dict(zip(occupied, self.data.truth.scores(raw[occupied]), strict=True))
        return EpochResult(train_loss, is_finite, scores, took_s, is_first)

    def record(self, epoch: EpochResult) -> None:
        """Tell each member what the epoch came to."""
        self._keep[:] = False
        for slot, score in epoch.scores.items():
            member = self.members[slot]
            member.epoch(float(epoch.train_loss[slot]), score, is_finite=bool(epoch.is_finite[slot]))
            self._keep[slot] = member.is_at_its_best

    def best_weights(self, slot: int) -> Any:
        """Return a function that reads a member's best weights in Keras's order, now or after the slot is given away.

        To be called between the epoch the member ended with and the next.
        """
        state, config = self._state, self.members[slot].config
        best = not self.members[slot].is_at_its_best
        return lambda: slots.keras_weights(self.key, config, state, slot, best=best)

    @property
    def device_weights(self) -> list[Any]:
        """Trained weights, on the device."""
        return self._state.weights

    @property
    def device_averages(self) -> list[Any]:
        """Moving averages, on the device."""
        return self._state.averages

    def tensors(self) -> Mapping[str, list[npt.NDArray[Any]]]:
        """Return copies of weights, averages and moments, for tests and for whoever looks inside."""
        names = ("weights", "averages", "first", "second", "best")
        return {
            name: [tensor.numpy() for tensor in part] for name, part in zip(names, self._state.parts(), strict=True)
        }

    def _epoch_inputs(self) -> EpochInputs:
        return EpochInputs(
            order=tf.constant(self._order()),
            n_rows=self._n_rows,
            keep=tf.constant(self._keep),
            steps=tf.constant(self._steps),
            rules=tf.constant(self._rules()),
            facts=self.facts(),
        )

    def _order(self) -> npt.NDArray[np.int32]:
        order = np.zeros((self.key.n_slots, self.key.n_train), np.int32)
        for slot, member in self.members.items():
            order[slot, : self.data.n_rows] = member.next_order(self.data.n_rows)
        return order

    def _batch_size(self, member: Member) -> int:
        return min(member.config.batch_size, self.key.batch_size)

    def _rules(self) -> npt.NDArray[Any]:
        idle = IDLE.column()
        columns = [
            rule_of(member.config, member.learning_rate).column() if (member := self.members.get(slot)) else idle
            for slot in range(self.key.n_slots)
        ]
        return np.array(columns, self.key.dtype).reshape(self.key.n_slots, len(NAMES)).T.copy()

    def facts(self) -> Facts:
        """Return what distinguishes the members."""
        if self._facts is None:
            self._facts = self._members_facts()
        return self._facts

    def _members_facts(self) -> Facts:
        key = self.key
        n_slots, depth = key.n_slots, key.depth
        activation = np.zeros(n_slots, np.int32)
        batch_norm = np.zeros(n_slots, bool)
        depths = np.zeros(n_slots, np.int32)
        # Slots without a member are done with the first step.
        batch_sizes = np.full(n_slots, key.batch_size, np.int32)
        units = np.zeros((n_slots, max(1, depth)), np.int32)
        rates = np.zeros((2, n_slots))
        seeds = np.zeros((depth + 1, n_slots), np.uint32)
        for slot, member in self.members.items():
            config = member.config
            depths[slot] = len(config.units)
            batch_sizes[slot] = self._batch_size(member)
            if config.units:
                activation[slot] = key.features.activations.index(config.activation)
                units[slot, : len(config.units)] = config.units
                batch_norm[slot] = config.batch_norm
            rates[:, slot] = config.input_dropout, config.dropout
            if key.features.dropout or key.features.input_dropout:
                n_masks = 1 + len(config.units)
                seeds[:n_masks, slot] = [member.mask_seed(layer) for layer in range(n_masks)]
        thresholds = np.array([[threshold_of(rate) for rate in row] for row in rates], np.uint32)
        scales = (1.0 / (1.0 - rates)).astype(key.dtype)
        return Facts(
            activation=tf.constant(activation),
            batch_norm=tf.constant(batch_norm),
            depths=tf.constant(depths),
            batch_sizes=tf.constant(batch_sizes),
            units=tf.constant(units),
            keep_scale=tf.constant(scales[1]),
            input_keep_scale=tf.constant(scales[0]),
            thresholds=tf.constant(thresholds),
            mask_seeds=tf.constant(seeds),
        )
