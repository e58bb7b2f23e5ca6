"""Which members share a pack, and how large a pack is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from workers.training.engine.member import Member
from workers.training.engine.numerics import DType
from workers.training.engine.rows import StudyRows
from workers.training.fused.cost import MAX_SLOTS, Shape, best_slots, epoch_s, gpu_slots, least_slots
from workers.training.fused.fold_data import FoldData
from workers.training.fused.kept_programs import is_noted
from workers.training.fused.machine import Machine
from workers.training.fused.pack import Pack
from workers.training.fused.padding import padded, spelled
from workers.training.fused.program import Program
from workers.training.fused.traits import Mode, ProgramKey, Traits
from workers.training.fused.trial_run import TrialRun

# Programs kept in a process; a search space rarely needs more than a hundred.
_MAX_PROGRAMS: Final = 256
# An epoch this many times slower than expected is looked into; other people's load on the machine explains less.
_SUSPICIOUS: Final = 12.0
# The two ways of running a program round differently, so a busy moment must not change from one to the other.
_MUCH_FASTER: Final = 5.0


@dataclass(frozen=True)
class Bucket:
    """What members must have in common to share a pack.

    Attributes:
        study: Whose rows.
        metric: The objective.
        fold: Of the study.
        hidden: Units of each hidden layer, padding included.
        batch_size: Rows per step.
    """

    study: StudyRows
    metric: str
    fold: int
    hidden: tuple[int, ...]
    batch_size: int


@dataclass
class Queue:
    """Members of one bucket that wait for a slot.

    Attributes:
        data: The bucket's rows on the device.
        shape: For the cost model.
        waiting: First come, first served.
        traits: Of every member ever seen, so that later packs find their program ready.
        max_slots: No pack may have more; lowered when memory did not suffice.
    """

    data: FoldData
    shape: Shape
    traits: Traits
    waiting: deque[tuple[TrialRun, Member]] = field(default_factory=deque)
    max_slots: int = MAX_SLOTS


class Planner:
    """Sorts members into buckets, sizes packs and keeps compiled programs.

    Args:
        machine: The device.
        dtype: Of weights and computation.
        mode: How programs run.
        explain: Takes a sentence for the log.
        n_slots: Size of every pack; None lets the cost model choose.
        kept: Folder of compiled programs; None keeps none.
    """

    def __init__(
        self,
        machine: Machine,
        dtype: DType,
        mode: Mode,
        explain: Callable[[str], None],
        n_slots: int | None = None,
        kept: Path | None = None,
    ) -> None:
        self.machine = machine
        self._dtype: DType = dtype
        self.mode: Mode = mode
        self._explain = explain
        self._n_slots = n_slots
        self._kept = kept
        self._programs: dict[ProgramKey, Program] = {}
        self._is_mode_checked = False

    @property
    def appetite(self) -> int:
        """How many trials the engine can usefully hold at once, at least 1."""
        return MAX_SLOTS if self.machine.kind == "gpu" else min(MAX_SLOTS, 64 * self.machine.n_lanes)

    def bucket(self, run: TrialRun, member: Member, data: FoldData) -> Bucket:
        """Return the bucket of a member."""
        config = member.config
        return Bucket(
            study=run.study,
            metric=run.task.study.metric,
            fold=member.fold,
            hidden=padded(config.units, data.padded_rows[0], self.machine.kind),
            batch_size=min(config.batch_size, data.padded_rows[0]),
        )

    def queue(self, bucket: Bucket, data: FoldData, member: Member) -> Queue:
        """Return a new queue for a bucket."""
        shape = Shape(
            widths=(data.n_inputs, *bucket.hidden, data.n_outputs),
            n_rows=data.n_rows,
            n_held_out=data.n_held_out,
            batch_size=bucket.batch_size,
            dtype=self._dtype,
        )
        return Queue(data, shape, Traits.of(member.config))

    def slots(self, bucket: Bucket, queue: Queue) -> int:
        """Return how many slots the next pack of a queue should have."""
        if self._n_slots is not None:
            return self._n_slots
        if self.machine.kind == "gpu":
            return min(gpu_slots(queue.shape), queue.max_slots)
        run, member = queue.waiting[0]
        like = self._key(bucket, queue, run, 0)
        return best_slots(
            self.machine,
            queue.shape,
            n_members=len(queue.waiting),
            # Where trials stop early, half of the epochs is a fair guess.
            n_epochs=member.schedule.max_epochs / (1 if member.schedule.early_stopping is None else 2),
            price_s=lambda n_slots: self._price_s(replace(like, n_slots=n_slots)),
            most=queue.max_slots,
        )

    def _price_s(self, key: ProgramKey) -> float:
        """Return the seconds until a program is ready."""
        if key in self._programs:
            return 0.0
        is_kept = self._kept is not None and is_noted(self._kept, key)
        return self.machine.load_s if is_kept else self.machine.compile_s

    def program(self, bucket: Bucket, queue: Queue) -> Program:
        """Return the program for the next pack of a queue, compiled before if any was like it."""
        run, _ = queue.waiting[0]
        return self.program_of(self._key(bucket, queue, run, self.slots(bucket, queue)))

    def _key(self, bucket: Bucket, queue: Queue, run: TrialRun, n_slots: int) -> ProgramKey:
        n_train, n_held_out = queue.data.padded_rows
        return ProgramKey(
            task=run.task.study.task,
            n_inputs=queue.data.n_inputs,
            n_outputs=queue.data.n_outputs,
            n_train=n_train,
            n_held_out=n_held_out,
            hidden=bucket.hidden,
            batch_size=bucket.batch_size,
            n_slots=n_slots,
            traits=queue.traits,
            dtype=self._dtype,
            mode=self.mode,
        )

    def program_of(self, key: ProgramKey) -> Program:
        """Return the program of a key, made if there is none yet; the one unused longest makes room."""
        program = self._programs.pop(key, None) or Program(key, self._kept)
        self._programs[key] = program
        if len(self._programs) > _MAX_PROGRAMS:
            self._programs.pop(next(iter(self._programs)))
        return program

    def check_mode(self, pack: Pack, shape: Shape, took_s: float) -> None:
        """Compare the ways of running a program if an epoch took suspiciously long; use the other if it is much faster.

        Most programs run two to three times as fast compiled; but some operation that a version of XLA compiles badly
        can make one a hundred times slower, and then every program is concerned. Asked once in a process.

        Args:
            pack: Between two epochs, its program compiled.
            shape: Of its members.
            took_s: Its last epoch.
        """
        expected_s = epoch_s(self.machine, shape, pack.key.n_slots)
        if self._is_mode_checked or took_s < _SUSPICIOUS * expected_s:
            return
        self._is_mode_checked = True
        other: Mode = "graph" if self.mode == "xla" else "xla"
        seconds = {
            self.mode: pack.timed(pack.program),
            other: pack.timed(Program(replace(pack.key, mode=other), self._kept)),
        }
        if seconds[other] * _MUCH_FASTER < seconds[self.mode]:
            self.mode = other
        self._explain(
            f"an epoch took {took_s:.3f} s, {expected_s:.3f} s were expected; measured: "
            + ", ".join(f"{mode} {second:.3f} s" for mode, second in seconds.items())
            + f"; new packs use {self.mode}"
        )

    def smaller(self, program: Program, shape: Shape, n_members: int, n_epochs_left: float) -> Program | None:
        """Return the program of a smaller pack if moving to it pays; None if it does not.

        Args:
            program: Of the pack.
            shape: Of its members.
            n_members: Still in the pack, at least 1.
            n_epochs_left: That the pack will go on for.
        """
        if self.machine.kind == "gpu":
            return None
        n_slots = least_slots(shape)
        while n_slots < n_members:
            n_slots *= 2
        if self._n_slots is not None or n_slots > program.key.n_slots // 2:
            return None
        key = replace(program.key, n_slots=n_slots)
        saved_s = n_epochs_left * (
            epoch_s(self.machine, shape, program.key.n_slots) - epoch_s(self.machine, shape, n_slots)
        )
        return self.program_of(key) if saved_s > 0.05 + 1.5 * self._price_s(key) else None

    def work_s(self, bucket: Bucket, queue: Queue) -> float:
        """Return the seconds one lane needs for an epoch of all that wait in a queue, for ordering."""
        n_slots = self.slots(bucket, queue)
        n_packs = -(-len(queue.waiting) // n_slots)
        return n_packs * epoch_s(self.machine, queue.shape, n_slots)

    def explain_queues(self, queues: Iterable[tuple[Bucket, Queue]]) -> None:
        """Say how the members at hand are divided."""
        for bucket, queue in queues:
            if not queue.waiting:
                continue
            n_slots = self.slots(bucket, queue)
            seconds = epoch_s(self.machine, queue.shape, n_slots)
            fold = f", fold {bucket.fold + 1}" if bucket.study.n_folds > 1 else ""
            self._explain(
                f"{len(queue.waiting)} trials of {len(bucket.hidden)} hidden layers padded to "
                f"{spelled(bucket.hidden)} units, batches "
                f"of {bucket.batch_size}{fold}: packs of {n_slots}, estimated {seconds * 1e3:.0f} ms an epoch, "
                f"{n_slots * queue.shape.slot_bytes / 2**20:.0f} MiB"
            )
