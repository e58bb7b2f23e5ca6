"""Writing the stored form of a data set: the same columns give the same bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

_ROWS_OF_A_GROUP: Final = 1 << 17


def write_content(frame: pl.DataFrame, path: Path) -> None:
    """Write Parquet, packed by zstd.

    Args:
        frame: Inputs in profile order, the target last.
        path: Must not exist; made readable by this user only.

    Raises:
        OSError: It can not be written; nothing is left behind.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            # One chunk and no statistics: nothing depends on how the columns came together.
            frame.rechunk().write_parquet(
                file, compression="zstd", compression_level=3, statistics=False, row_group_size=_ROWS_OF_A_GROUP
            )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
