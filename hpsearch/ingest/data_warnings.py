"""Data-quality warnings, such as rare classes, outliers and leakage: one sentence for each, for people."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from hpsearch.domain.dataset import Column, ColumnKind
from hpsearch.ingest.target_leakage import leakage_warnings

if TYPE_CHECKING:
    import polars as pl

    from hpsearch.ingest.target import Target

_NAMED: Final = 5
_IMBALANCE: Final = 10
_FEW_ROWS: Final = 5
_MOSTLY_MISSING: Final = 0.5
_FAR: Final = 100
_MIN_ROWS_OF_IDS: Final = 20
_COPIES: Final = 0.01


def data_warnings(frame: pl.DataFrame, columns: list[Column], target: Target) -> list[str]:
    """Return the warnings of a data set, most harmful first.

    Args:
        frame: Inputs in the order of `columns`, the target last.
        columns: Described inputs.
        target: Described target.
    """
    return [
        *leakage_warnings(frame, columns, target),
        *_imbalance(target),
        *_constant(columns),
        *_duplicates(frame, columns),
        *_ids(frame, columns),
        *_mostly_missing(columns, frame.height),
        *_far_values(columns),
        *_copied_rows(frame),
    ]


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _constant(columns: list[Column]) -> list[str]:
    names = [column.name for column in columns if column.n_unique == 1 and not column.n_missing]
    if not names:
        return []
    if len(names) == 1:
        return [f"column {names[0]} has the same value in every row and carries nothing"]
    return [f"{len(names)} columns have the same value in every row and carry nothing: {_listed(names)}"]


def _duplicates(frame: pl.DataFrame, columns: list[Column]) -> list[str]:
    seen: dict[tuple[object, ...], str] = {}
    found = []
    for column in columns:
        if column.n_unique == 1:
            continue
        # Equal columns agree in these; only those that do are hashed cell by cell.
        key = (column.n_missing, column.n_unique, column.minimum, column.maximum, column.mean, column.categories)
        twin = seen.setdefault(key, column.name)
        if twin != column.name and _fingerprint(frame[twin]) == _fingerprint(frame[column.name]):
            found.append(f"column {column.name} repeats column {twin}")
    more = [f"{len(found) - _NAMED} more columns repeat others"] if len(found) > _NAMED else []
    return found[:_NAMED] + more


def _fingerprint(series: pl.Series) -> bytes:
    return hashlib.sha256(series.hash(seed=0).to_numpy().tobytes()).digest()


def _ids(frame: pl.DataFrame, columns: list[Column]) -> list[str]:
    n_rows = frame.height
    names = []
    for column in columns:
        if column.kind != ColumnKind.REAL or column.n_unique != n_rows or n_rows < _MIN_ROWS_OF_IDS:
            continue
        values = frame[column.name]
        steps = values.diff().drop_nulls()
        named = column.name.lower().endswith(("id", "index", "_no", "number"))
        if bool((values.floor() == values).all()) and (named or bool((steps == steps[0]).all())):
            names.append(column.name)
    return [f"column {name} numbers the rows; leave it out unless their order matters" for name in names[:_NAMED]]


def _mostly_missing(columns: list[Column], n_rows: int) -> list[str]:
    found = [column for column in columns if column.n_missing > _MOSTLY_MISSING * n_rows]
    return [f"column {column.name} misses {column.n_missing:,} of {n_rows:,} values" for column in found[:_NAMED]]


def _far_values(columns: list[Column]) -> list[str]:
    found = []
    for column in columns:
        if not column.std or column.mean is None or column.minimum is None or column.maximum is None:
            continue
        low, middle, high = (number / column.std for number in (column.minimum, column.mean, column.maximum))
        far = max(high - middle, middle - low)
        if far > _FAR:
            found.append(f"column {column.name} holds a value {far:,.0f} standard deviations from its mean; check it")
    return found[:_NAMED]


def _imbalance(target: Target) -> list[str]:
    if not target.counts:
        return []
    rare = [label for label, n in zip(target.classes, target.counts, strict=True) if n < _FEW_ROWS]
    if rare:
        label = rare[0]
        which = f"class {label!r} has" if len(rare) == 1 else f"{len(rare)} classes such as {label!r} have"
        return [f"{which} fewer than {_FEW_ROWS} rows; some parts of a split may have none"]
    smallest, largest = min(target.counts), max(target.counts)
    if largest < _IMBALANCE * smallest:
        return []
    label = target.classes[target.counts.index(smallest)]
    share = smallest / sum(target.counts)
    return [f"class {label!r} has {smallest:,} rows, {share:.1%} of all; accuracy alone will mislead, prefer f1_macro"]


def _copied_rows(frame: pl.DataFrame) -> list[str]:
    n_copies = frame.height - frame.hash_rows(seed=0).n_unique()
    if n_copies <= _COPIES * frame.height:
        return []
    return [f"{n_copies:,} rows are exact copies of others; the same row may be trained on and validated with"]
