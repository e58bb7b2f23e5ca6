"""Reading CSV: all cells as text, separator and header found, damaged rows named."""

from __future__ import annotations

import csv
import io
import itertools
import math
import mmap
import time
from typing import IO, TYPE_CHECKING, Final

from hpsearch.data.reading.csv_text import Header, read_header, scan_text
from hpsearch.data.reading.limits import MAX_LINE_BYTES
from hpsearch.data.reading.raw import RawColumns, check_names, check_shape
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Collection

_SEARCH_S: Final = 1.0


def read_csv(file: IO[bytes], *, known: Collection[str] = (), least_columns: int = 2) -> RawColumns:
    """Return all columns as text, without rows that are empty throughout.

    Args:
        file: A real file, opened for reading.
        known: Names that columns may have; they tell a header of numbers from a first row of numbers.
        least_columns: Fewer are refused.

    Raises:
        InvalidDatasetError: Not UTF-8 text, too large, unusable column names, or rows that do not fit the header.
    """
    import polars as pl

    n_lines = scan_text(file)
    file.seek(0)
    header = read_header(file.read(2 * MAX_LINE_BYTES), least_columns)
    check_shape(n_lines, len(header.cells))
    names, has_names, warnings = _names(header, known)
    check_names(names)
    body = header.end if has_names else 0
    # A first line of our own keeps polars from taking the first bytes of a data row for those of a packed file.
    first = header.separator.join(f"c{number}" for number in range(len(names))).encode() + b"\n"
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
        start = 3 if not body and bytes(view[:3]) == b"\xef\xbb\xbf" else body
        text = b"".join((first, view[start:]))
    try:
        frame = pl.read_csv(
            text,
            separator=header.separator,
            schema={f"c{number}": pl.String for number in range(len(names))},
        )
    except pl.exceptions.PolarsError as error:
        raise _explained(text, header, len(names), str(error)) from None
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if empty.any():
        frame = frame.filter(~empty)
    if not frame.height:
        msg = "the file has a header but no rows; send at least two rows"
        raise InvalidDatasetError(msg, code="dataset.empty")
    frame.columns = names
    return RawColumns(frame, typed=False, warnings=warnings)


def _names(header: Header, known: Collection[str]) -> tuple[list[str], bool, list[str]]:
    """Return column names, whether the file has them, and warnings."""
    if set(header.cells).isdisjoint(known) and all(_is_number(cell) for cell in header.cells):
        names = [f"x{number}" for number in range(len(header.cells))]
        sentence = f"the first line holds numbers only, so the columns were named {names[0]} to {names[-1]}"
        return names, False, [sentence]
    names = [cell or f"column_{position}" for position, cell in enumerate(header.cells, start=1)]
    unnamed = [name for name, cell in zip(names, header.cells, strict=True) if not cell]
    return names, True, [f"the column without a name was called {name}" for name in unnamed[:5]]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _explained(text: bytes, header: Header, n_columns: int, complaint: str) -> InvalidDatasetError:
    """Return the error that names the first row which does not fit, if one second is enough to find it."""
    until = time.monotonic() + _SEARCH_S
    lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    reader = csv.reader(lines, delimiter=header.separator, strict=True)
    next(reader, None)
    row = 0
    try:
        for cells in itertools.takewhile(lambda _: time.monotonic() < until, reader):
            row += bool(cells)
            if len(cells) > n_columns:
                msg = (
                    f"row {row} has {len(cells)} cells but there are {n_columns} columns; "
                    "remove or quote the extra separator"
                )
                return InvalidDatasetError(msg, code="dataset.row")
    except (csv.Error, UnicodeDecodeError):
        msg = (
            f"the quotes of row {row + 1} are not closed or are followed by other text; "
            "double a quote within a quoted cell"
        )
        return InvalidDatasetError(msg, code="dataset.row")
    reason = complaint.splitlines()[0][:200] if complaint else "unknown"
    msg = f"the file can not be read as CSV ({reason}); save it again as CSV in UTF-8"
    return InvalidDatasetError(msg, code="dataset.unreadable")
