"""The programs of a study, chosen once: the few that take least time to compile and to train all of its trials.

A function of the study's definition, the shape of its data and the kind of device, never of the moment: a trial's last
bits depend on the program it is trained by.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from hpsearch.domain.mlp import MlpConfig
from hpsearch.wire.claims import StudyBrief
from workers.training.engine.numerics import DType
from workers.training.fused.graph.program_key import Features
from workers.training.fused.planning import space_points
from workers.training.fused.planning.cost import Load, Shape, best_slots, compile_s, keras_s
from workers.training.fused.planning.device_profile import DeviceProfile

_MIN_WIDTH: Final = 64
# Beyond this there is also a width half way to the next.
_FINER_ABOVE: Final = 256
# Width and depth classes of one group of batch sizes at most.
_MAX_CLASSES: Final = 3
_MAX_DEPTHS: Final = 5
_MAX_BATCHES: Final = 6
# Slots of a program for trials of nobody knows how many.
_UNKNOWN_SLOTS: Final = {"gpu": 32.0, "cpu": 4.0}
# A trial outside of all programs may have some like it, such as the same network with other seeds.
_STRAY_SLOTS: Final = 4.0
# Packs open at once, all programs and folds together, and trials to each slot that make another pack worth its while.
_MAX_PACKS: Final = 4
_ROUNDS: Final = 3


@dataclass(frozen=True)
class DataShape:
    """What a study's prepared data has to do with its programs.

    Attributes:
        n_inputs: Width of the inputs.
        n_outputs: Width of the output.
        n_rows: Training rows of a fold, padding included.
        n_held_out: Held-out rows of a fold, padding included.
        n_folds: Of the split.
        dtype: Of weights and computation.
    """

    n_inputs: int
    n_outputs: int
    n_rows: int
    n_held_out: int
    n_folds: int = 1
    dtype: DType = "float32"


@dataclass(frozen=True)
class Planned:
    """One program of a study.

    Attributes:
        depth: Hidden layers; a member may have fewer.
        width: Of every hidden layer, padding included; 0 where there is none.
        batch_size: Rows per step; a member may have fewer.
        least_depth: Of a member.
        n_slots: Of each pack.
        n_packs: That may be open at once, for each fold.
        features: Features.
    """

    depth: int
    width: int
    batch_size: int
    least_depth: int
    n_slots: int
    n_packs: int
    features: Features

    def holds(self, config: MlpConfig) -> bool:
        """Return whether a network fits in, its batch size apart."""
        return (
            self.least_depth <= len(config.units) <= self.depth
            and max(config.units, default=0) <= self.width
            and self.features.covers(Features.of(config))
        )

    def __str__(self) -> str:
        """Return it in words, for the log."""
        depths = f"{self.least_depth} to {self.depth}" if self.least_depth < self.depth else f"{self.depth}"
        layers = f"{depths} hidden layer{'s' if self.depth > 1 else ''} of up to {self.width} units"
        slots = f"{self.n_slots} slot{'s' if self.n_slots > 1 else ''}"
        packs = f", {self.n_packs} packs" if self.n_packs > 1 else ""
        return f"{layers if self.depth else 'linear'}, batches of up to {self.batch_size}, {slots}{packs}"


@dataclass(frozen=True)
class ProgramSet:
    """The programs of a study.

    Attributes:
        device: The device.
        data: The shape of the study's data.
        programs: By batch size, then the cheaper first.
        is_known: Whether the study's space is known.
    """

    device: DeviceProfile
    data: DataShape
    programs: tuple[Planned, ...]
    is_known: bool

    def of(self, config: MlpConfig) -> Planned | None:
        """Return the program that trains a network; None if none does."""
        batch_size = min(config.batch_size, self.data.n_rows)
        sizes = sorted({program.batch_size for program in self.programs if program.batch_size >= batch_size})
        held = (program for program in self.programs if program.batch_size in sizes[:1] and program.holds(config))
        return next(held, None)

    def stray(self, config: MlpConfig, max_epochs: int) -> Planned | None:
        """Return a program for a network that no other trains, made for it alone; None if plain Keras is quicker."""
        depth, batch_size = len(config.units), min(config.batch_size, self.data.n_rows)
        width = padded(max(config.units)) if depth else 0
        shape = _shape(self.data, depth, width, batch_size, batch_size)
        n_members = _STRAY_SLOTS if self.is_known else _UNKNOWN_SLOTS[self.device.kind]
        load = Load(n_members, n_members, n_members, max_epochs, max_epochs, self.data.n_folds)
        n_slots, train_s = best_slots(self.device, shape, load)
        by_keras_s = self.data.n_folds * keras_s(self.device, shape, max_epochs)
        if self.is_known and by_keras_s < compile_s(self.device, depth) + train_s:
            return None
        return Planned(
            depth, width, batch_size, depth, n_slots, 1 if self.is_known else _MAX_PACKS, Features.of(config)
        )


def choose(device: DeviceProfile, brief: StudyBrief, data: DataShape) -> ProgramSet:
    """Return the programs of a study; none where its space is not known.

    Args:
        device: The device; its kind alone decides.
        brief: Of the study.
        data: The shape of its data.
    """
    if brief.space is None:
        return ProgramSet(device, data, (), is_known=False)
    configs = space_points.drawn(
        brief.space, n_inputs=data.n_inputs, n_outputs=data.n_outputs, max_weights=brief.max_weights
    )
    choice = _Choice(device, brief, data, configs)
    return ProgramSet(device, data, choice.programs(), is_known=True)


def padded(units: int) -> int:
    """Return the padded width for so many units: the smallest of 64, 128, 256, 384, 512, 768, … that holds them."""
    width = _MIN_WIDTH
    while width < units:
        width *= 2
    between = width * 3 // 4
    return between if width > _FINER_ABOVE and units <= between else width


# A network as the choice sees it: hidden layers, and the padded width of the widest.
_Kind = tuple[int, int]
# The largest network a program trains, likewise.
_Box = tuple[int, int]


class _Choice:
    """Weighs sets of programs for one study.

    Batch sizes are divided into neighbouring groups, a program's rows beyond a member's own being masked; within each
    group boxes of depth and width are added while that saves time.
    """

    def __init__(self, device: DeviceProfile, brief: StudyBrief, data: DataShape, configs: Sequence[MlpConfig]) -> None:
        space = brief.space
        if space is None:
            msg = "a study without a space has no programs to choose from"
            raise ValueError(msg)
        self._device = device
        self._data = data
        self._depths = space_points.depths(space)
        self._widest = self._width_for(space_points.widest(space), self._depths[-1])
        self._batches = _classes(space_points.batch_sizes(space, data.n_rows))
        self._features = space_points.features_of(space)
        self._n_trials = float(brief.max_trials or _UNKNOWN_SLOTS[device.kind])
        self._n_open = min(self._n_trials, float(brief.open_trials or self._n_trials))
        self._max_epochs = brief.training.max_epochs
        # Where trials stop early, half of the epochs is a fair guess.
        self._n_epochs = self._max_epochs / (1 if brief.training.early_stopping is None else 2)
        self._n_points = max(1, len(configs))
        self._kinds: list[Counter[_Kind]] = [Counter() for _ in self._batches]
        for config in configs:
            batch_size = min(config.batch_size, data.n_rows)
            place = next(place for place, (_, most) in enumerate(self._batches) if batch_size <= most)
            depth = len(config.units)
            self._kinds[place][depth, self._width_for(max(config.units, default=0), depth)] += 1

    def programs(self) -> tuple[Planned, ...]:
        """Return the set that costs least."""
        # best[j]: seconds and programs of the first j batch sizes.
        best: list[tuple[float, tuple[Planned, ...]]] = [(0.0, ())]
        for end in range(1, len(self._batches) + 1):
            options = []
            for start in range(end):
                seconds, programs = self._group(start, end)
                options.append((best[start][0] + seconds, (*best[start][1], *programs)))
            best.append(min(options, key=lambda option: (option[0], len(option[1]))))
        programs = best[-1][1]
        return tuple(self._with_packs(program, len(programs)) for program in programs)

    def _group(self, start: int, end: int) -> tuple[float, tuple[Planned, ...]]:
        """Return the best programs for neighbouring batch sizes, and their seconds."""
        kinds = sum(self._kinds[start:end], Counter[_Kind]())
        rows = (self._batches[start][0], self._batches[end - 1][1])
        # Drawn points may miss the largest networks; who needs no program for these does not pay for it.
        boxes: list[_Box] = [(self._depths[-1], self._widest)]
        best_s = self._seconds(boxes, kinds, rows)
        candidates = sorted({(depth, width) for depth in self._few_depths() for width in {w for _, w in kinds}})
        candidates = [(depth, self._width_for(width, depth)) for depth, width in candidates]
        while len(boxes) < _MAX_CLASSES:
            trials = [[*boxes, box] for box in dict.fromkeys(candidates) if box not in boxes]
            found = min(((self._seconds(trial, kinds, rows), trial) for trial in trials), default=(best_s, boxes))
            if found[0] >= best_s:
                break
            best_s, boxes = found
        return best_s, tuple(self._planned(box, boxes, kinds, rows)[0] for box in sorted(boxes, key=self._order))

    def _seconds(self, boxes: Sequence[_Box], kinds: Counter[_Kind], rows: tuple[int, int]) -> float:
        return sum(self._planned(box, boxes, kinds, rows)[1] for box in boxes)

    def _planned(
        self, box: _Box, boxes: Sequence[_Box], kinds: Counter[_Kind], rows: tuple[int, int]
    ) -> tuple[Planned, float]:
        """Return the program of a box among others, and the seconds it costs."""
        depth, width = box
        least, most = rows
        own = [kind for kind in kinds if self._home(kind, boxes) == box]
        share = sum(kinds[kind] for kind in own) / self._n_points
        # Of those open, a share that varies: two standard deviations of a binomial distribution.
        n_peak = min(self._n_open, self._n_open * share + 2 * math.sqrt(self._n_open * share * (1 - share)))
        load = Load(
            self._n_trials * share,
            max(1.0, self._n_open * share),
            max(1.0, n_peak),
            self._n_epochs,
            self._max_epochs,
            self._data.n_folds,
        )
        shape = _shape(self._data, depth, width, most, least)
        n_slots, train_s = best_slots(self._device, shape, load)
        # Compiled when the first trial needs it.
        is_needed = 1.0 - (1.0 - share) ** self._n_trials
        least_depth = 0 if depth == 0 else min(self._depths[0], depth)
        if self._covers_linear(boxes) and depth > 0:
            least_depth = max(1, least_depth)
        planned = Planned(depth, width, most, least_depth, n_slots, 1, _narrowed(self._features, depth))
        return planned, is_needed * compile_s(self._device, depth) + train_s

    def _with_packs(self, program: Planned, n_programs: int) -> Planned:
        """Return the program with the packs that keep a device busy while others are scored, if trials suffice."""
        n_packs = int(self._n_open) // (n_programs * program.n_slots * _ROUNDS)
        return replace(program, n_packs=max(1, min(n_packs, _MAX_PACKS // (n_programs * self._data.n_folds))))

    def _home(self, kind: _Kind, boxes: Sequence[_Box]) -> _Box:
        """Return the box that trains a network: the cheapest that holds it."""
        depth, width = kind
        return min((box for box in boxes if box[0] >= depth and box[1] >= width), key=self._order)

    def _order(self, box: _Box) -> tuple[int, _Box]:
        depth, width = box
        return _shape(self._data, depth, width, 1, 1).n_weights, box

    def _covers_linear(self, boxes: Sequence[_Box]) -> bool:
        return any(depth == 0 for depth, _ in boxes)

    def _few_depths(self) -> tuple[int, ...]:
        every = -(-len(self._depths) // _MAX_DEPTHS)
        return self._depths[::-1][::every][::-1]

    def _width_for(self, units: int, depth: int) -> int:
        """Return the padded width; where linear networks are members, it holds their output."""
        if depth == 0:
            return 0
        least = self._data.n_outputs if self._depths[0] == 0 else 0
        return padded(max(units, least, 1))


def _classes(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return neighbouring batch sizes as few classes (least, most): each its own, or those between powers of two."""
    base = 1
    classes = [(size, size) for size in sizes]
    while len(classes) > _MAX_BATCHES:
        found: dict[int, tuple[int, int]] = {}
        for size in sizes:
            place = (size - 1).bit_length() // base
            found[place] = (found.get(place, (size, size))[0], size)
        classes, base = list(found.values()), base + 1
    return classes


def _narrowed(features: Features, depth: int) -> Features:
    return features if depth else replace(features, activations=(), batch_norm=False, dropout=False)


def _shape(data: DataShape, depth: int, width: int, batch_size: int, least_batch: int) -> Shape:
    return Shape(
        widths=(data.n_inputs, *[width] * depth, data.n_outputs),
        n_rows=data.n_rows,
        n_held_out=data.n_held_out,
        batch_size=batch_size,
        least_batch=least_batch,
        dtype=data.dtype,
    )
