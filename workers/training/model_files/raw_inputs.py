"""From raw rows to prepared inputs inside the model's own graph, and raw rows in the form that graph reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from hpsearch.data.column_plan import ColumnPlan
from hpsearch.domain.dataset import ColumnKind

_LARGEST: Final = float(np.finfo(np.float32).max)
# What Keras calls values outside a vocabulary when it lists one; must not be a category.
_UNKNOWN: Final = "\x1funknown\x1f"

Raw = npt.NDArray[np.float32] | dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class RawForm:
    """How a model takes raw rows.

    Attributes:
        columns: In input order.
        names: Input of each column, in the same order, when the model takes a dictionary; None for one matrix.
    """

    columns: tuple[ColumnPlan, ...]
    names: tuple[str, ...] | None

    @classmethod
    def of(cls, columns: tuple[ColumnPlan, ...], reserved: Collection[str]) -> RawForm:
        """Return the form: one matrix if every column is numeric, else a dictionary of one input per column.

        Args:
            columns: Of the preparation.
            reserved: Layer names that inputs must not take.
        """
        if all(column.kind != ColumnKind.CATEGORICAL for column in columns):
            return cls(columns, None)
        taken = set(reserved)
        names = []
        for number, column in enumerate(columns):
            name = column.name
            # Keras allows any layer name but an empty one and one with a slash.
            if not name or "/" in name or name in taken:
                name = f"column_{number}"
                while name in taken or any(other.name == name for other in columns):
                    name += "_"
            taken.add(name)
            names.append(name)
        return cls(columns, tuple(names))

    def rows(self, values: Mapping[str, npt.NDArray[Any]]) -> Raw:
        """Return raw rows as the model takes them.

        Args:
            values: By column: (n,) float64 with NaN, or (n,) object of str with None, for missing values.
        """
        if self.names is None:
            stacked = np.stack([values[column.name] for column in self.columns], axis=1)
            matrix: npt.NDArray[np.float32] = np.clip(stacked, -_LARGEST, _LARGEST).astype(np.float32)
            return matrix
        rows: dict[str, npt.NDArray[Any]] = {}
        for column, name in zip(self.columns, self.names, strict=True):
            raw = values[column.name].reshape(-1, 1)
            if column.kind == ColumnKind.CATEGORICAL:
                rows[name] = np.array([[text or ""] for text in raw[:, 0]], dtype=object)
            else:
                rows[name] = np.clip(raw, -_LARGEST, _LARGEST).astype(np.float32)
        return rows

    def build(self, dtype: str) -> tuple[Any, Any]:
        """Return the inputs of a functional model (one, or by name) and the prepared input computed from them.

        The prepared input equals `Preparation.inputs` of the same rows: statistics are applied in float64.
        """
        numeric = [column for column in self.columns if column.kind != ColumnKind.CATEGORICAL]
        if self.names is None:
            matrix = keras.Input((len(numeric),), dtype="float32", name="rows")
            return matrix, ops.cast(_numeric_block(matrix, numeric), dtype)
        inputs = {}
        for column, name in zip(self.columns, self.names, strict=True):
            text = column.kind == ColumnKind.CATEGORICAL
            inputs[name] = keras.Input((1,), dtype="string" if text else "float32", name=name)
        by_column = dict(zip((column.name for column in self.columns), inputs.values(), strict=True))
        blocks, order = [], []
        if numeric:
            joined = [by_column[column.name] for column in numeric]
            blocks.append(_numeric_block(ops.concatenate(joined, axis=1) if len(joined) > 1 else joined[0], numeric))
            order += numeric
        for column in self.columns:
            if column.kind == ColumnKind.CATEGORICAL:
                blocks.append(_one_hot_block(by_column[column.name], column))
                order.append(column)
        together = ops.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]
        return inputs, ops.cast(_reordered(together, order, self.columns), dtype)


def _numeric_block(rows: Any, columns: list[ColumnPlan]) -> Any:
    """Return the float32 inputs of numeric columns, each with its indicator behind it."""
    exact = ops.cast(rows, "float64")
    missing = ops.isnan(exact)
    fill = np.array([[float(column.fill or 0.0) for column in columns]])
    mean = np.array([[column.mean if column.scale else 0.0 for column in columns]])
    scale = np.array([[column.scale or 1.0 for column in columns]])
    filled = ops.clip(ops.where(missing, fill, exact), -_LARGEST, _LARGEST)
    standardised = ops.clip(ops.divide(ops.subtract(filled, mean), scale), -_LARGEST, _LARGEST)
    constant = np.array([[not column.scale for column in columns]])
    if constant.any():
        standardised = ops.where(constant, 0.0, standardised)
    block = ops.cast(standardised, "float32")
    if not any(column.has_indicator for column in columns):
        return block
    # Columns first, indicators behind; then each indicator moves behind its column.
    block = ops.concatenate([block, ops.cast(missing, "float32")], axis=1)
    order = []
    for number, column in enumerate(columns):
        order += [number, len(columns) + number] if column.has_indicator else [number]
    return ops.take(block, np.array(order, dtype=np.int32), axis=1)


def _one_hot_block(text: Any, column: ColumnPlan) -> Any:
    """Return the float32 inputs of a categorical column: one per category, one for unknown values, the indicator."""
    n_known = len(column.categories)
    if n_known:
        lookup = keras.layers.StringLookup(
            vocabulary=list(column.categories), mask_token="", num_oov_indices=1, oov_token=_UNKNOWN
        )
        # 0 for "", 1 for unknown values, 2 and more for the categories.
        code = lookup(text)
        missing = ops.equal(code, 0)
        fill = n_known if column.fill is None else column.categories.index(str(column.fill))
        position = ops.where(ops.equal(code, 1), n_known, ops.subtract(code, 2))
        position = ops.where(missing, fill, position)
    else:
        lookup = keras.layers.StringLookup(vocabulary=[_UNKNOWN + "none"], mask_token="", oov_token=_UNKNOWN)
        missing = ops.equal(lookup(text), 0)
        position = ops.multiply(ops.cast(missing, "int64"), 0)
    block = ops.reshape(ops.one_hot(position, n_known + 1, dtype="float32"), (-1, n_known + 1))
    if column.has_indicator:
        block = ops.concatenate([block, ops.cast(missing, "float32")], axis=1)
    return block


def _reordered(block: Any, order: list[ColumnPlan], wanted: tuple[ColumnPlan, ...]) -> Any:
    starts, position = {}, 0
    for column in order:
        starts[column.name] = position
        position += column.width
    places = [starts[column.name] + offset for column in wanted for offset in range(column.width)]
    if places == list(range(position)):
        return block
    return ops.take(block, np.array(places, dtype=np.int32), axis=1)
