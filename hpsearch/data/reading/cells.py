"""How the cells of one column read: as numbers, as truth values, as dates, or as texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from hpsearch.data.reading.dates import days_since_1970
from hpsearch.data.reading.limits import MAX_TEXT_LENGTH
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    import polars as pl

# Words for a missing value, besides the empty cell; upper and lower case count.
MISSING_WORDS: Final = (
    *("NA", "N/A", "n/a", "na", "<NA>", "#N/A", "#NA"),
    *("NaN", "nan", "NAN", "-NaN", "-nan", "null", "Null", "NULL", "None", "?"),
)
# From this share of numbers on, a text among them is a mistake rather than a category.
_NUMERIC_SHARE: Final = 0.9
_FEW: Final = 20
_FREE_TEXT_BYTES: Final = 64 * MAX_TEXT_LENGTH


@dataclass(frozen=True)
class Cells:
    """A column read.

    Attributes:
        form: `number` (float64), `truth` (float64 of 0 and 1), `text` (texts), or `empty` (no value at all).
        values: Null where missing; never NaN or infinite.
        warning: What people should know of the reading; None when nothing.
    """

    form: Literal["number", "truth", "text", "empty"]
    values: pl.Series
    warning: str | None = None


def read_cells(series: pl.Series, *, typed: bool) -> Cells:
    """Return the column as numbers where it can be, else as texts.

    Args:
        series: Of any type a reader hands on.
        typed: Whether texts are meant as texts (Parquet, NPZ) or may be numbers (CSV).

    Raises:
        InvalidDatasetError: An infinite number, a text among numbers, or control characters; row and column are named.
    """
    import polars as pl

    if series.null_count() == len(series):
        return Cells("empty", pl.Series(series.name, [None], dtype=pl.Float64).new_from_index(0, len(series)))
    if series.dtype == pl.Boolean:
        return Cells("truth", series.cast(pl.Float64))
    if series.dtype.is_numeric():
        return _numbers(series.cast(pl.Float64))
    if series.dtype.is_temporal():
        return _temporal(series)
    return _texts(series.cast(pl.String), typed=typed)


def _numbers(values: pl.Series, warning: str | None = None) -> Cells:
    import polars as pl

    # Missing is null from here on.
    values = values.fill_nan(None)
    for row in values.is_infinite().fill_null(value=False).arg_true().head(1):
        msg = (
            f"row {row + 1} of column {values.name!r} holds an infinite or too large number; "
            "expected finite numbers, so correct it or leave the cell empty"
        )
        raise InvalidDatasetError(msg, code="dataset.not_finite", details={"row": row + 1, "column": values.name})
    if values.null_count() == len(values):
        return Cells("empty", values)
    return Cells("number", values.cast(pl.Float64), warning)


def _temporal(series: pl.Series) -> Cells:
    import polars as pl

    if series.dtype in (pl.Date, pl.Datetime):
        values = series.cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64) / 86_400e6
        unit = "days since 1970-01-01"
    else:
        dtype = pl.Int64
        # Time counts nanoseconds, a duration its own unit.
        per_second = {"ms": 1e3, "us": 1e6, "ns": 1e9}[getattr(series.dtype, "time_unit", None) or "ns"]
        values = series.cast(dtype).cast(pl.Float64) / per_second
        unit = "seconds"
    return _numbers(values.alias(series.name), f"column {series.name!r} holds dates or times and is read as {unit}")


def plain_texts(series: pl.Series, *, typed: bool) -> pl.Series:
    """Return texts without blanks around them, null where missing.

    Args:
        series: Of texts.
        typed: Whether only the empty text is missing, or the words for it as well.

    Raises:
        InvalidDatasetError: A text holds control characters.
    """
    texts = series.str.strip_chars()
    words = ["", *(() if typed else MISSING_WORDS)]
    texts = texts.set(texts.is_in(words).fill_null(value=False), None)
    control = texts.str.contains(r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]").fill_null(value=False)
    for row in control.arg_true().head(1):
        msg = f"row {row + 1} of column {texts.name!r} holds control characters; expected plain text, so remove them"
        raise InvalidDatasetError(msg, code="dataset.control_character", details={"row": row + 1, "column": texts.name})
    return texts


def _texts(series: pl.Series, *, typed: bool) -> Cells:
    import polars as pl

    longest = series.str.len_bytes().max()
    if isinstance(longest, int) and longest > _FREE_TEXT_BYTES:
        # Free text whatever blanks stand around it: it will not be used, and to clean gigabytes of it takes long.
        return Cells("text", series)
    numbers = series.cast(pl.Float64, strict=False)
    if not typed and numbers.null_count() == series.null_count():
        return _numbers(numbers)
    texts = plain_texts(series, typed=typed)
    if texts.null_count() == len(texts):
        return Cells("empty", texts.cast(pl.Float64))
    return Cells("text", texts) if typed else _interpreted(texts)


def _interpreted(texts: pl.Series) -> Cells:
    import polars as pl

    numbers = texts.cast(pl.Float64, strict=False)
    odd = texts.is_not_null() & numbers.is_null()
    if not odd.any():
        return _numbers(numbers)
    few = texts.n_unique() <= _FEW
    if few and set(texts.drop_nulls().unique().str.to_lowercase()) <= {"true", "false"}:
        return Cells("truth", (texts.str.to_lowercase() == "true").cast(pl.Float64))
    days = days_since_1970(texts)
    if days is not None:
        return _numbers(days, f"column {texts.name!r} holds dates and is read as days since 1970-01-01")
    if not few:
        _refuse_text_among_numbers(texts, odd)
    return Cells("text", texts)


def _refuse_text_among_numbers(texts: pl.Series, odd: pl.Series) -> None:
    n_present = len(texts) - texts.null_count()
    n_odd = int(odd.sum())
    if n_odd > (1 - _NUMERIC_SHARE) * n_present:
        return
    row = int(odd.arg_true()[0])
    msg = (
        f"row {row + 1} of column {texts.name!r} holds {texts[row][:40]!r}, but {n_present - n_odd:,} of {n_present:,} "
        "cells are numbers; correct it or leave the cell empty"
    )
    raise InvalidDatasetError(msg, code="dataset.mixed_column", details={"row": row + 1, "column": texts.name})
