"""The points of a finite space by number (mixed radix): counted before anything is listed, never held whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hpsearch.domain.layer_widths import SHARED, layer_of
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.parameters import key
from hpsearch.domain.space import Space
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidStudyError
from hpsearch.sampling.compiled_space import CompiledSpace, compile_space
from hpsearch.sampling.radix import Radix, TooManyStatesError
from hpsearch.sampling.request import NetworkShape
from hpsearch.sampling.uniform import Stream, raw_words
from hpsearch.sampling.weights import count_table

GRID_CAP: Final = 100_000
_DEFAULT: Final = MlpConfig()


class Grid:
    """The feasible points of a finite space, numbered from 0.

    Points that break the weight limit are not part of the grid. Numbers follow the parameters, the first slowest
    (those that decide the network's size come first), so they are stable for a given space and shape.

    Args:
        space: Every parameter must have listed values or steps.
        shape: Widths of input and output, and the weight limit.
        cap: Largest number of combinations (before the weight limit), counted before any is listed.

    Raises:
        InvalidStudyError: A parameter is continuous, there are more than `cap` combinations, or none obeys the weight
            limit.
    """

    def __init__(self, space: Space, shape: NetworkShape, *, cap: int = GRID_CAP) -> None:
        self._space = compile_space(space)
        endless = [slot.name for slot in self._space.slots if slot.values is None]
        if endless:
            received = f"received a range without steps for {', '.join(endless)}"
            msg = f"a grid needs values or steps for every parameter, {received}"
            raise InvalidStudyError(msg, code="study.grid_endless")
        try:
            self._radix = Radix(self._space.slots, cap=cap)
        except TooManyStatesError:
            raise _too_large(None, cap) from None
        if self._radix.size > cap:
            raise _too_large(self._radix.size, cap)
        self.n_combinations = self._radix.size
        self.size = self._radix.size
        self._blocks: _Blocks | None = None
        if shape.max_weights is not None:
            self._blocks = _Blocks(self._space, self._radix, shape, shape.max_weights)
            self.size = self._blocks.size

    def point(self, grid_index: int) -> Params:
        """Return the point with this number.

        Args:
            grid_index: 0 to `size - 1`.

        Raises:
            IndexError: There is no such point.
        """
        if not 0 <= grid_index < self.size:
            msg = f"the grid has points 0 to {self.size - 1}, received {grid_index}"
            raise IndexError(msg)
        combination = grid_index if self._blocks is None else self._blocks.combination(grid_index)
        return self._space.readable(self._radix.point(combination))

    def index_of(self, params: Params) -> int | None:
        """Return the number of a point (fixed values included); None when it is not in the grid."""
        combination = self._radix.index_of(params)
        if combination is None or self._blocks is None:
            return combination
        return self._blocks.position(combination)

    def order(self, seed: int) -> Sequence[int]:
        """Return all grid numbers in a shuffled order that depends on `seed` and `size` alone.

        Each number gets a 64-bit key, word i of NumPy's PCG64 seeded by ``SeedSequence([seed, 1])`` (both are
        guaranteed never to change between NumPy versions); the order is that of the keys, equal keys by number.
        """
        keys = raw_words(self.size, seed, Stream.GRID)
        order: list[int] = np.argsort(keys, kind="stable").tolist()
        return order


def _too_large(size: int | None, cap: int) -> InvalidStudyError:
    received = f"more than {cap:,}" if size is None else f"{size:,}"
    return InvalidStudyError(
        f"the grid has {received} combinations and at most {cap:,} are allowed; "
        "give fewer values or steps, or search with the algorithm random or bayesian",
        code="study.grid_too_large",
        details={"size": size, "cap": cap},
    )


class _Blocks:
    """Which runs of combinations obey the weight limit.

    The parameters that decide the weights come first in the numbering, so each setting of them is one run of
    consecutive combinations, all feasible or none. Only these settings are listed, never the points.
    """

    def __init__(self, space: CompiledSpace, radix: Radix, shape: NetworkShape, max_weights: int) -> None:
        columns = _settings(space)
        lengths = _run_lengths(space, radix, columns)
        starts = np.cumsum(lengths) - lengths
        counts = _weights(space, columns, shape)
        feasible = counts <= max_weights
        if not feasible.any():
            msg = (
                f"no point of the grid has at most {max_weights:,} weights, the smallest has {int(counts.min()):,}; "
                "raise constraints.max_weights or offer fewer or narrower layers"
            )
            raise InvalidStudyError(msg, code="study.infeasible", details={"smallest": int(counts.min())})
        self._starts = starts[feasible]
        self._ends = np.cumsum(lengths[feasible])
        self.size = int(self._ends[-1])

    def combination(self, grid_index: int) -> int:
        run = int(np.searchsorted(self._ends, grid_index, side="right"))
        before = int(self._ends[run - 1]) if run else 0
        return int(self._starts[run]) + grid_index - before

    def position(self, combination: int) -> int | None:
        run = int(np.searchsorted(self._starts, combination, side="right")) - 1
        if run < 0:
            return None
        before = int(self._ends[run - 1]) if run else 0
        position = before + combination - int(self._starts[run])
        return position if position < self._ends[run] else None


def _settings(space: CompiledSpace) -> dict[str, NDArray[np.int64]]:
    """List all settings of the structural parameters, as one column of value places each (-1: inactive)."""
    columns: dict[str, NDArray[np.int64]] = {}
    n_rows = 1
    values = {slot.name: slot.values or () for slot in space.slots}
    for slot in space.structural:
        active = np.ones(n_rows, dtype=bool)
        for parent, wanted in slot.when.items():
            allowed = [key(v) in wanted for v in values[parent]]
            active &= np.array([*allowed, False])[columns[parent]]  # place -1 reads the last: inactive
        repeats = np.where(active, len(values[slot.name]), 1)
        columns = {name: np.repeat(column, repeats) for name, column in columns.items()}
        n_rows = int(repeats.sum())
        within = np.arange(n_rows) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        columns[slot.name] = np.where(np.repeat(active, repeats), within, -1)
    return columns


def _run_lengths(space: CompiledSpace, radix: Radix, columns: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Count the combinations below each setting, (n_rows,) int64."""
    counts = radix.counts[space.n_structural]
    n_rows = len(next(iter(columns.values()))) if columns else 1
    frontier = radix.frontiers[space.n_structural]
    if not frontier:
        return np.full(n_rows, counts[()], dtype=np.int64)
    classes = {digit.name: np.array([*digit.class_of, -1]) for digit in radix.digits}
    states = np.stack([classes[name][columns[name]] for name in frontier], axis=1)
    distinct, row_of = np.unique(states, axis=0, return_inverse=True)
    return np.array([counts[tuple(state)] for state in distinct.tolist()], dtype=np.int64)[row_of.ravel()]


def _weights(space: CompiledSpace, columns: dict[str, NDArray[np.int64]], shape: NetworkShape) -> NDArray[np.int64]:
    """Count the weights of each setting, (n_rows,) int64."""
    n_rows = len(next(iter(columns.values()))) if columns else 1

    def column(slot_name: str, default: int) -> NDArray[np.int64]:
        slot = next((s for s in space.structural if s.name == slot_name), None)
        if slot is None:
            return np.full(n_rows, default, dtype=np.int64)
        numbers = [int(v) for v in slot.values or () if not isinstance(v, str)]
        return np.array([*numbers, default], dtype=np.int64)[columns[slot_name]]

    shared = column(SHARED, _DEFAULT.units[0])
    numbered = {layer: name for name in columns if (layer := layer_of(name)) is not None}
    deepest = np.zeros(n_rows, dtype=np.int64)
    for layer, name in numbered.items():
        deepest = np.where(columns[name] >= 0, np.maximum(deepest, layer), deepest)
    implied = np.where(deepest > 0, deepest, len(_DEFAULT.units))
    n_layers = column("layers", -1)
    n_layers = np.where(n_layers >= 0, n_layers, implied)
    max_layers = int(n_layers.max(initial=0))
    widths = np.stack(
        [
            np.where(columns[numbered[layer]] >= 0, column(numbered[layer], 0), shared) if layer in numbered else shared
            for layer in range(1, max_layers + 1)
        ]
        or [np.zeros(n_rows, dtype=np.int64)],
        axis=1,
    )
    return count_table(n_layers, widths, column("batch_norm", 0) > 0, shape)
