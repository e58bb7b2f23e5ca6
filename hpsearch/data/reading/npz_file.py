"""Reading NPZ: a matrix with a target, or one array per column; nothing is ever extracted to disk."""

from __future__ import annotations

import math
import os
import zipfile
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from hpsearch.data.reading.limits import MAX_ARRAYS, MAX_DECODED_BYTES
from hpsearch.data.reading.npy_member import read_member
from hpsearch.data.reading.raw import RawColumns, check_names, check_shape
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    import polars as pl

_MATRIX: Final = ("X", "x", "data", "features", "inputs")
_TARGET: Final = ("y", "Y", "target", "targets", "label", "labels")
_MAX_DIRECTORY_BYTES: Final = 1_024 * MAX_ARRAYS
_END_BYTES: Final = 22
_LOCATOR_BYTES: Final = 20


def read_npz(file: IO[bytes], *, needs_target: bool = True) -> RawColumns:
    """Return the columns of an NPZ file.

    Either a matrix (`X`, `data` or `features`; more dimensions than two are flattened) whose columns are named x0, x1,
    … or by an array `feature_names`, with a target (`y`, `target` or `labels`); or one-dimensional arrays of one
    length, each a column of its own name.

    Args:
        file: A real file, opened for reading.
        needs_target: Whether a matrix without a target is refused.

    Raises:
        InvalidDatasetError: Damaged, too large, dangerous, or arrays that make no table.
    """
    _check_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(members)
            arrays = {member.filename.removesuffix(".npy"): read_member(archive, member) for member in members}
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
        msg = f"the NPZ file is damaged ({str(error)[:120] or type(error).__name__}); save it again with numpy.savez"
        raise InvalidDatasetError(msg, code="dataset.unreadable") from None
    matrix = next((name for name in _MATRIX if name in arrays and arrays[name].ndim > 1), None)
    return _from_columns(arrays) if matrix is None else _from_matrix(arrays, matrix, needs_target=needs_target)


def _check_directory(file: IO[bytes]) -> None:
    """Return when the archive's list of members is of a size worth reading, before it is read."""
    size = file.seek(0, os.SEEK_END)
    # Behind the end record stands a comment of at most 65,535 bytes; a ZIP64 locator stands before it.
    file.seek(max(0, size - _END_BYTES - 65_535 - _LOCATOR_BYTES))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    file.seek(0)
    if end < 0 or len(tail) - end < _END_BYTES:
        msg = "the NPZ file is cut off or damaged; send it again"
        raise InvalidDatasetError(msg, code="dataset.unreadable")
    n_members = int.from_bytes(tail[end + 10 : end + 12], "little")
    n_bytes = int.from_bytes(tail[end + 12 : end + 16], "little")
    if (
        n_members > MAX_ARRAYS
        or n_bytes > _MAX_DIRECTORY_BYTES
        or b"PK\x06\x07" in tail[max(0, end - _LOCATOR_BYTES) : end]
    ):
        msg = f"the NPZ file lists more than {MAX_ARRAYS:,} members; expected a few arrays, saved with numpy.savez"
        raise InvalidDatasetError(msg, code="dataset.too_large")


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if not 1 <= len(members) <= MAX_ARRAYS:
        msg = f"the NPZ file has {len(members):,} members, expected 1 to {MAX_ARRAYS:,} arrays"
        raise InvalidDatasetError(msg, code="dataset.too_large")
    if len({member.filename for member in members}) != len(members):
        msg = "the NPZ file has two members of one name; save it again with numpy.savez"
        raise InvalidDatasetError(msg, code="dataset.unreadable")
    for member in members:
        name = member.filename
        if not name.endswith(".npy") or set(name) & set("/\\\x00") or ".." in name or member.flag_bits & 0x1:
            msg = (
                f"the ZIP file has a member {name[:80]!r}, which is not a plain array; save the arrays with numpy.savez"
            )
            raise InvalidDatasetError(msg, code="dataset.file_type")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            msg = f"member {name[:80]!r} is packed by a method numpy does not use; save it again with numpy.savez"
            raise InvalidDatasetError(msg, code="dataset.file_type")
    decoded = sum(member.file_size for member in members)
    if decoded > MAX_DECODED_BYTES:
        msg = (
            f"the arrays take {decoded:,} bytes unpacked, at most {MAX_DECODED_BYTES:,} are taken; "
            "leave out rows or columns"
        )
        raise InvalidDatasetError(msg, code="dataset.too_large")


def _from_matrix(arrays: dict[str, np.ndarray[Any, Any]], name: str, *, needs_target: bool) -> RawColumns:
    import polars as pl

    matrix = arrays[name]
    n_columns = math.prod(matrix.shape[1:])
    check_shape(len(matrix), n_columns + 1)
    if not matrix.size:
        msg = f"array {name!r} has shape {matrix.shape}, so it has no cell; send at least two rows and one column"
        raise InvalidDatasetError(msg, code="dataset.empty")
    target = next((key for key in _TARGET if key in arrays), None)
    ignored = sorted(set(arrays) - {name, target, "feature_names"})
    if target is None and needs_target:
        found = f"{', '.join(ignored[:5])} instead" if ignored else "none"
        msg = (
            f"the NPZ file has the matrix {name!r} but no target; expected an array y, target or labels, "
            f"received {found}"
        )
        raise InvalidDatasetError(msg, code="dataset.target")
    names = _feature_names(arrays.get("feature_names"), n_columns)
    wide = matrix.reshape(len(matrix), n_columns)
    columns = [_series(column, wide[:, number]) for number, column in enumerate(names)]
    if target is not None:
        target_of_name = f"{target}_target" if target in names else target
        columns.append(_series(target_of_name, _one_a_row(arrays[target], target, len(matrix))))
    check_names([column.name for column in columns])
    warnings = [f"array {other} was ignored, because it is neither the matrix nor the target" for other in ignored[:5]]
    marked = None if target is None else columns[-1].name
    return RawColumns(pl.DataFrame(columns), typed=True, target=marked, warnings=warnings)


def _one_a_row(values: np.ndarray[Any, Any], name: str, n_rows: int) -> np.ndarray[Any, Any]:
    if values.size != n_rows or len(values) != n_rows:
        msg = f"the target {name!r} has shape {values.shape} for {n_rows} rows; expected one value a row"
        raise InvalidDatasetError(msg, code="dataset.target")
    return values.reshape(n_rows)


def _feature_names(given: np.ndarray[Any, Any] | None, n_columns: int) -> list[str]:
    if given is None or given.dtype.kind != "U" or given.shape != (n_columns,):
        return [f"x{number}" for number in range(n_columns)]
    return [str(name) for name in given]


def _from_columns(arrays: dict[str, np.ndarray[Any, Any]]) -> RawColumns:
    import polars as pl

    for name, array in arrays.items():
        if array.ndim != 1:
            msg = (
                f"array {name[:80]!r} has {array.ndim} dimensions; expected a matrix X with a target y, "
                "or one-dimensional arrays only, each a column"
            )
            raise InvalidDatasetError(msg, code="dataset.array")
    first = next(iter(arrays))
    n_rows = len(arrays[first])
    for name, array in arrays.items():
        if len(array) != n_rows:
            msg = f"array {first!r} has {n_rows} rows and {name!r} has {len(array)}; expected one length for all"
            raise InvalidDatasetError(msg, code="dataset.array")
    check_names(list(arrays))
    check_shape(n_rows, len(arrays))
    target = next((key for key in _TARGET if key in arrays), None)
    columns = [_series(name, array) for name, array in arrays.items()]
    return RawColumns(pl.DataFrame(columns), typed=True, target=target)


def _series(name: str, values: np.ndarray[Any, Any]) -> pl.Series:
    import polars as pl

    if values.dtype.kind == "U":
        return pl.Series(name, values.tolist(), dtype=pl.String)
    if values.dtype.kind == "f":
        return pl.Series(name, values.astype(np.float64))
    native = values.astype(values.dtype.newbyteorder("="))
    return pl.Series(name, native)
