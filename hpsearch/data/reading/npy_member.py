"""Reading one NPY array without trusting its header: never unpickled, never allocated on its word alone."""

from __future__ import annotations

import ast
import math
import zlib
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from hpsearch.data.reading.limits import MAX_TEXT_LENGTH
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    import zipfile

_MAX_HEADER_BYTES: Final = 10_000
_MAX_DIMENSIONS: Final = 4
_MAGIC: Final = b"\x93NUMPY"
_VERSIONS: Final = {1: ("latin1", 2), 2: ("latin1", 4), 3: ("utf-8", 4)}
# Truth values, whole numbers, floats and texts; anything else, objects above all, is refused.
_KINDS: Final = "biufU"


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    """Return the array of one archive member.

    Args:
        archive: Opened for reading.
        member: Its decoded size was already found to be within the limits.

    Raises:
        InvalidDatasetError: Not an NPY array of numbers, truth values or texts, or its size is not what it says.
    """
    name = member.filename.removesuffix(".npy")
    try:
        with archive.open(member) as stream:
            shape, fortran_order, dtype, n_header = _header(stream, name)
            n_data = math.prod(shape) * dtype.itemsize
            if n_data != member.file_size - n_header:
                msg = (
                    f"array {name!r} says it has shape {shape} of {dtype}, {n_data:,} bytes, but "
                    f"{member.file_size - n_header:,} follow; save the file again"
                )
                raise InvalidDatasetError(msg, code="dataset.unreadable")
            data = stream.read(n_data)
    except (OSError, EOFError, zlib.error, RuntimeError, NotImplementedError, ValueError) as error:
        raise _damaged(name, error) from None
    if len(data) != n_data:
        raise _damaged(name, EOFError("it ends early"))
    flat = np.frombuffer(data, dtype=dtype)
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _header(stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether Fortran order, type and the number of bytes read."""
    prefix = stream.read(len(_MAGIC) + 2)
    if not prefix.startswith(_MAGIC) or len(prefix) < len(_MAGIC) + 2:
        msg = f"member {name!r} is not an NPY array; save the arrays with numpy.savez"
        raise InvalidDatasetError(msg, code="dataset.file_type")
    encoding, n_length = _VERSIONS.get(prefix[len(_MAGIC)], ("", 4))
    length = int.from_bytes(stream.read(n_length), "little")
    if not encoding or length > _MAX_HEADER_BYTES:
        msg = (
            f"array {name!r} has an NPY header of version {prefix[len(_MAGIC)]} and {length:,} bytes; "
            "save it again with numpy.savez"
        )
        raise InvalidDatasetError(msg, code="dataset.unreadable")
    try:
        facts = ast.literal_eval(stream.read(length).decode(encoding))
        shape, fortran_order, described = facts["shape"], facts["fortran_order"], facts["descr"]
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise _damaged(name, error) from None
    return _shape(shape, name), bool(fortran_order), _dtype(described, name), len(prefix) + n_length + length


def _shape(shape: object, name: str) -> tuple[int, ...]:
    if (
        not isinstance(shape, tuple)
        or not 1 <= len(shape) <= _MAX_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**48 for size in shape)
    ):
        msg = f"array {name!r} has shape {str(shape)[:80]}; expected 1 to {_MAX_DIMENSIONS} dimensions, rows first"
        raise InvalidDatasetError(msg, code="dataset.array")
    return shape


def _dtype(described: object, name: str) -> np.dtype[Any]:
    dtype = None
    if isinstance(described, str):
        try:
            dtype = np.dtype(described)
        except (TypeError, ValueError):
            dtype = None
    if dtype is None or dtype.kind not in _KINDS or dtype.itemsize > max(16, 4 * MAX_TEXT_LENGTH):
        msg = (
            f"array {name!r} is of type {str(described)[:80]}; expected numbers, truth values or texts of at most "
            f"{MAX_TEXT_LENGTH} characters, so convert it before saving (objects are never unpickled)"
        )
        raise InvalidDatasetError(msg, code="dataset.column_type")
    return dtype


def _damaged(name: str, error: Exception) -> InvalidDatasetError:
    reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    msg = f"array {name!r} can not be read ({reason}); save the file again with numpy.savez"
    return InvalidDatasetError(msg, code="dataset.unreadable")
