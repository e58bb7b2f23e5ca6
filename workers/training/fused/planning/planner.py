"""Planner: which program trains a member, and an LRU cache of the compiled ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from workers.training.engine.member import Member
from workers.training.engine.numerics import DType
from workers.training.engine.rows import StudyRows
from workers.training.engine.task import TrialTask
from workers.training.fused.fold_data import FoldData
from workers.training.fused.graph.program import Program
from workers.training.fused.graph.program_key import Mode, ProgramKey
from workers.training.fused.planning.cost import Shape
from workers.training.fused.planning.device_profile import DeviceProfile
from workers.training.fused.planning.program_set import DataShape, Planned, ProgramSet, choose

# Programs and sets kept in a process; a study rarely needs more than four.
_MAX_PROGRAMS: Final = 64
_MAX_SETS: Final = 64
# What an engine begins with, before it knows a study.
_FIRST_SLOTS: Final = {"cpu": 8, "gpu": 64}
_SPARE: Final = 4


@dataclass(frozen=True)
class PackGroup:
    """Where a member is trained: those with equal groups share packs.

    Attributes:
        study: Whose rows.
        metric: The objective.
        fold: Of the study.
        key: Of the program.
        n_packs: That may be open at once.
    """

    study: StudyRows
    metric: str
    fold: int
    key: ProgramKey
    n_packs: int

    @property
    def slot_bytes(self) -> int:
        """Memory of one slot."""
        key = self.key
        return Shape(key.widths, key.n_train, key.n_held_out, key.batch_size, key.batch_size, key.dtype).slot_bytes


class Planner:
    """Chooses programs for studies and keeps those that are compiled.

    Args:
        device: The device.
        dtype: Of weights and computation.
        mode: How programs run.
        explain: Takes a sentence for the log.
        n_slots: Of every pack; None leaves it to the choice of programs.
        cache_folder: Folder of compiled programs; None keeps none.
    """

    def __init__(
        self,
        device: DeviceProfile,
        dtype: DType,
        mode: Mode,
        explain: Callable[[str], None],
        n_slots: int | None = None,
        cache_folder: Path | None = None,
    ) -> None:
        self._device = device
        self._dtype: DType = dtype
        self._mode: Mode = mode
        self._explain = explain
        self._n_slots = n_slots
        self._cache_folder = cache_folder
        self._programs: OrderedDict[ProgramKey, Program] = OrderedDict()
        self._sets: OrderedDict[tuple[str, DataShape], ProgramSet] = OrderedDict()
        self._study_ids: set[str] = set()
        # What took the place of programs that did not fit into memory.
        self._smaller: dict[ProgramKey, ProgramKey] = {}

    def note_studies(self, study_ids: set[str]) -> None:
        """Take the studies of the trials in hand; with none the last ones count on."""
        self._study_ids = study_ids or self._study_ids

    @property
    def capacity(self) -> int:
        """How many trials are usefully held now: a quarter more than slots, so that these are refilled at once."""
        return self.n_slots + -(-self.n_slots // _SPARE)

    @property
    def n_slots(self) -> int:
        """How many trials are trained at the same time, at least 1: the slots of the studies in hand."""
        # A trial takes a slot in the pack of each fold.
        found: dict[str, int] = {}
        for (study_id, _), programs in self._sets.items():
            if study_id in self._study_ids and programs.programs:
                n_slots = sum((self._n_slots or program.n_slots) * program.n_packs for program in programs.programs)
                found[study_id] = max(found.get(study_id, 0), n_slots)
        return sum(found.values()) or self._n_slots or _FIRST_SLOTS[self._device.kind]

    def group(self, task: TrialTask, study: StudyRows, member: Member, data: FoldData) -> PackGroup | None:
        """Return where a member is trained: a function of its study, its network and the kind of device.

        None: by plain Keras, which is quicker for a network that is none of the study's space.
        """
        programs = self._set(task, study, data)
        planned = programs.of(member.config)
        if planned is None:
            planned = programs.stray(member.config, member.schedule.max_epochs)
        if planned is None:
            return None
        key = self._key(task, data, planned)
        while key in self._smaller:
            key = self._smaller[key]
        return PackGroup(study, task.study.metric, member.fold, key, planned.n_packs)

    def _set(self, task: TrialTask, study: StudyRows, data: FoldData) -> ProgramSet:
        n_rows, n_held_out = data.padded_rows
        shape = DataShape(data.n_inputs, data.n_outputs, n_rows, n_held_out, study.n_folds, self._dtype)
        place = (task.study.study_id, shape)
        if place not in self._sets:
            self._sets[place] = choose(self._device, task.study, shape)
            self._explain(f"programs for study {task.study.name}: {described(self._sets[place])}")
        self._sets.move_to_end(place)
        while len(self._sets) > _MAX_SETS:
            self._sets.popitem(last=False)
        return self._sets[place]

    def _key(self, task: TrialTask, data: FoldData, planned: Planned) -> ProgramKey:
        n_train, n_held_out = data.padded_rows
        return ProgramKey(
            task=task.study.task,
            n_inputs=data.n_inputs,
            n_outputs=data.n_outputs,
            n_train=n_train,
            n_held_out=n_held_out,
            depth=planned.depth,
            width=planned.width,
            batch_size=planned.batch_size,
            n_slots=self._n_slots or planned.n_slots,
            features=planned.features,
            least_depth=planned.least_depth,
            dtype=self._dtype,
            mode=self._mode,
        )

    def program(self, key: ProgramKey) -> Program:
        """Return the program of a key, made if there is none yet; the one unused longest makes room."""
        if key not in self._programs:
            self._programs[key] = Program(key, self._cache_folder)
        self._programs.move_to_end(key)
        if len(self._programs) > _MAX_PROGRAMS:
            self._programs.popitem(last=False)
        return self._programs[key]

    def halve(self, group: PackGroup) -> PackGroup:
        """Return the group of half the slots that takes the place of one that did not fit into memory, from now on.

        Its trials' last bits may differ then from those of a device with more memory.
        """
        smaller = self._smaller.setdefault(group.key, replace(group.key, n_slots=group.key.n_slots // 2))
        return replace(group, key=smaller)


def described(programs: ProgramSet) -> str:
    """Return a set of programs in words, for the log."""
    if not programs.is_known:
        return "its space is not known, each kind of network gets its own"
    return f"{len(programs.programs)} ({'; '.join(map(str, programs.programs))}), each compiled when a trial needs it"
