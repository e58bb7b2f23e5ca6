"""Reading Parquet: types and shape are checked in its metadata before any column is decoded."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from hpsearch.data.reading.raw import RawColumns, check_names, check_shape
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    import polars as pl


def read_parquet(file: IO[bytes]) -> RawColumns:
    """Return all columns with the types of the file.

    Args:
        file: A real file, opened for reading.

    Raises:
        InvalidDatasetError: Damaged, too large, or a column of a type that is no number, text, truth value or date.
    """
    import polars as pl

    try:
        schema = pl.read_parquet_schema(file)
        _check_types(schema)
        file.seek(0)
        n_rows = int(pl.scan_parquet(file).select(pl.len()).collect().item())
        check_names(list(schema))
        check_shape(n_rows, len(schema))
        file.seek(0)
        frame = pl.read_parquet(file)
    except pl.exceptions.PolarsError as error:
        reason = (str(error).splitlines() or ["unknown"])[0][:200]
        msg = f"the Parquet file is damaged or of a kind that is not read ({reason}); write it again"
        raise InvalidDatasetError(msg, code="dataset.unreadable") from None
    if not frame.height:
        msg = "the Parquet file has no rows; send at least two rows"
        raise InvalidDatasetError(msg, code="dataset.empty")
    return RawColumns(frame, typed=True)


def _check_types(schema: dict[str, pl.DataType]) -> None:
    import polars as pl

    # What is not listed is refused: lists, structs, bytes, arrays, Python objects and extension types.
    known = (
        *(pl.Boolean, pl.String, pl.Categorical, pl.Enum, pl.Null, pl.Decimal),
        *(pl.Date, pl.Datetime, pl.Time, pl.Duration),
    )
    for name, dtype in schema.items():
        if not (dtype.is_numeric() or isinstance(dtype, known)):
            msg = (
                f"column {name[:80]!r} is of type {str(dtype)[:80]}, which can not be used; "
                "expected numbers, texts, truth values or dates, so convert it or leave it out"
            )
            raise InvalidDatasetError(msg, code="dataset.column_type")
