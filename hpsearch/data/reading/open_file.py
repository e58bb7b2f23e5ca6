"""Reading a data file of any of the three kinds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpsearch.data.reading.csv_file import read_csv
from hpsearch.data.reading.limits import MAX_FILE_BYTES
from hpsearch.data.reading.npz_file import read_npz
from hpsearch.data.reading.parquet_file import read_parquet
from hpsearch.data.reading.sniff import file_kind
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from hpsearch.data.reading.raw import RawColumns


def read_file(path: Path, *, known: Collection[str] = (), needs_target: bool = True) -> RawColumns:
    """Return the columns of a CSV, Parquet or NPZ file, told apart by content.

    Args:
        path: A plain file; its name means nothing.
        known: Names that columns may have; they tell a header of numbers from a first row of numbers.
        needs_target: Whether the file must hold a target beside its inputs.

    Raises:
        InvalidDatasetError: It can not be read; the sentence says why.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            msg = f"the file has {size:,} bytes, at most {MAX_FILE_BYTES:,} are taken; leave out rows or columns"
            raise InvalidDatasetError(msg, code="dataset.too_large")
        kind = file_kind(file.read(64))
        file.seek(0)
        if kind == "csv":
            return read_csv(file, known=known, least_columns=2 if needs_target else 1)
        return read_parquet(file) if kind == "parquet" else read_npz(file, needs_target=needs_target)
