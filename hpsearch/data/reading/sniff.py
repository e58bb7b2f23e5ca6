"""Which kind of file it is, by its first bytes and never by its name."""

from __future__ import annotations

from typing import Final, Literal

from hpsearch.errors import InvalidDatasetError

FileKind = Literal["csv", "parquet", "npz"]

# First bytes of what people send instead, and what to do about it.
_OTHERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x1f\x8b", "gzip; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd; unpack it first"),
    (b"BZh", "bzip2; unpack it first"),
    (b"\xfd7zXZ\x00", "xz; unpack it first"),
    (b"\x04\x22\x4d\x18", "lz4; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x93NUMPY", "a single NPY array; save X and y together with numpy.savez"),
    (b"\x89HDF", "HDF5; save the table as Parquet"),
    (b"ARROW1", "Arrow IPC; save the table as Parquet"),
    (b"PARE", "encrypted Parquet; save it without encryption"),
    (b"ORC", "ORC; save the table as Parquet"),
    (b"%PDF", "PDF; save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the table as CSV"),
    (b"\x89PNG", "a PNG picture; send a table"),
    (b"\xff\xd8\xff", "a JPEG picture; send a table"),
    (b"\x7fELF", "a program; send a table"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"\xff\xfe", "text in UTF-16; save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16; save it as UTF-8"),
    (b"\x80\x02", "a Python pickle; save the arrays with numpy.savez"),
    (b"\x80\x03", "a Python pickle; save the arrays with numpy.savez"),
    (b"\x80\x04", "a Python pickle; save the arrays with numpy.savez"),
    (b"\x80\x05", "a Python pickle; save the arrays with numpy.savez"),
)


def file_kind(head: bytes) -> FileKind:
    """Return the kind of a file.

    Args:
        head: Its first bytes, 64 or more where it has them.

    Raises:
        InvalidDatasetError: It is empty, or none of CSV, Parquet and NPZ.
    """
    if not head.strip():
        msg = "the file is empty; send a CSV, Parquet or NPZ file with at least one row"
        raise InvalidDatasetError(msg, code="dataset.empty")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "npz"
    for magic, what in _OTHERS:
        if head.startswith(magic):
            msg = f"the file is {what} and send CSV, Parquet or NPZ" if "first" in what else f"the file is {what}"
            raise InvalidDatasetError(msg, code="dataset.file_type")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"<", b"{") or text[:2] in (b"[{", b"[["):
        what = "HTML or XML" if text[:1] == b"<" else "JSON"
        msg = f"the file is {what}, by its first bytes; send CSV, Parquet or NPZ"
        raise InvalidDatasetError(msg, code="dataset.file_type")
    return "csv"
