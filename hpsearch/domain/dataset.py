"""The schema and the profile of a data set: columns and their kinds, target, statistics and warnings."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from hpsearch.domain.strict import Lenient
from hpsearch.domain.task import TaskName


class ColumnKind(StrEnum):
    """How a column is prepared for the network."""

    REAL = "real"  # standardised
    BINARY = "binary"  # two values 0 and 1, kept as they are
    CATEGORICAL = "categorical"  # one-hot with a bucket for unknown values


class Column(Lenient):
    """One input column.

    Attributes:
        name: As in the file, or `x0`, `x1`, … for a plain matrix.
        kind: How it is prepared.
        n_missing: Rows without a value.
        n_unique: Distinct values present.
        categories: The values of a categorical column, sorted; empty for others.
        minimum: Smallest value; None for categorical columns.
        maximum: Largest value; None for categorical columns.
        mean: None for categorical columns.
        std: None for categorical columns.
    """

    name: str
    kind: ColumnKind
    n_missing: int = 0
    n_unique: int = 0
    categories: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    std: float | None = None

    @property
    def width(self) -> int:
        """Inputs of the network this column becomes: one-hot plus unknown bucket, and one indicator if values miss."""
        own = len(self.categories) + 1 if self.kind == ColumnKind.CATEGORICAL else 1
        return own + (1 if self.n_missing else 0)


class DatasetProfile(Lenient):
    """Columns, target and warnings of a data set.

    Attributes:
        task: Inferred from the target.
        classes: Class labels in the order of the model's outputs; empty for regression.
        class_counts: Rows of each class, in the same order.
        warnings: One sentence each, for people.
    """

    n_rows: int
    columns: tuple[Column, ...]
    target: str
    task: TaskName
    classes: tuple[str, ...] = ()
    class_counts: tuple[int, ...] = ()
    target_mean: float | None = None
    target_std: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def n_inputs(self) -> int:
        """Width of the prepared input over all columns."""
        return sum(column.width for column in self.columns)


class Dataset(Lenient):
    """A stored data set: immutable, named by the hash of its content.

    Attributes:
        digest: SHA-256 of the stored content, in hex; the content never changes.
        source: `builtin`, `generated` or `upload`.
        size_bytes: Of the stored content.
    """

    dataset_id: str
    name: str
    source: str
    digest: str
    size_bytes: int
    n_rows: int
    n_columns: int
    target: str
    task: TaskName
    created_at: datetime
