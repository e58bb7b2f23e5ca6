"""Hostile and damaged files, made by code: what nobody should be able to hurt the server with."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from tests.ingest.thrift import STRUCT, Reader, encoded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def npz(**arrays: Any) -> bytes:
    """Return a well-formed NPZ file."""
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def npy(header: str | bytes, data: bytes = b"", *, version: int = 1, length: int | None = None) -> bytes:
    """Return an NPY array with a header of one's own."""
    head = header.encode() if isinstance(header, str) else header
    n_length = 2 if version == 1 else 4
    said = len(head) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + said.to_bytes(n_length, "little") + head + data


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a ZIP archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def described(shape: str, descr: str = "'<f8'") -> str:
    """Return the text of an NPY header."""
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n"


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (self.path,)


def pickled_npz(canary: Path) -> bytes:
    """Return an NPZ file with an object array whose pickle makes a folder."""
    objects = np.empty(1, dtype=object)
    objects[0] = Canary(canary)
    out = io.BytesIO()
    np.save(out, objects, allow_pickle=True)
    return zipped({"X.npy": out.getvalue(), "y.npy": npy(described("(1,)"), bytes(8))})


def plain_pickle(canary: Path) -> bytes:
    """Return a pickle that makes a folder."""
    return pickle.dumps(Canary(canary))


def bomb(n_members: int = 40) -> bytes:
    """Return an NPZ file of 2.6 MB that unpacks to 2.5 GiB of zeros: one array of 64 MiB under many names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c00.npy", npy(described("(8388608,)"), bytes(64 << 20)))
    one = out.getvalue()
    directory, end = one.index(b"PK\x01\x02"), one.rindex(b"PK\x05\x06")
    local, central = one[:directory], one[directory:end]
    names = [f"c{number:02}.npy".encode() for number in range(n_members)]
    entries = b"".join(
        central[:42] + struct.pack("<I", number * len(local)) + central[46:].replace(b"c00.npy", name)
        for number, name in enumerate(names)
    )
    body = b"".join(local.replace(b"c00.npy", name, 1) for name in names)
    return (
        body
        + entries
        + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, n_members, n_members, len(entries), len(body), 0)
    )


def two_of_one_name() -> bytes:
    """Return an archive with two members of one name."""
    one = zipped({"X.npy": npy(described("(1,)"), bytes(8)), "Y.npy": npy(described("(1,)"), bytes(8))})
    return one.replace(b"Y.npy", b"X.npy")


def lying_sizes() -> bytes:
    """Return an archive whose directory says that a member of 8 bytes has 2 GiB - 1."""
    good = zipped({"X.npy": npy(described("(1,)"), bytes(8))})
    place = good.rindex(b"PK\x01\x02") + 24
    return good[:place] + struct.pack("<I", 2**31 - 1) + good[place + 4 :]


def zip64_count() -> bytes:
    """Return an archive whose ZIP64 record says it has 2^40 members."""
    good = zipped({"X.npy": npy(described("(1,)"), bytes(8))})
    end = good.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", good[end + 16 : end + 20])[0]
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**40, 2**40, end - start, start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    return good[:end] + record + locator + good[end:]


def parquet(frame: pl.DataFrame) -> bytes:
    """Return a well-formed Parquet file."""
    out = io.BytesIO()
    frame.write_parquet(out, statistics=False)
    return out.getvalue()


def small() -> pl.DataFrame:
    """Return a few rows that are fine."""
    n = 60
    return pl.DataFrame({"a": np.arange(n) * 1.5, "s": [f"k{i % 3}" for i in range(n)], "y": np.arange(n) % 2})


def with_footer(data: bytes, change: Callable[[Any], None]) -> bytes:
    """Return a Parquet file after its metadata were changed."""
    length = int.from_bytes(data[-8:-4], "little")
    footer = Reader(data[-8 - length : -8]).struct()
    change(footer)
    forged = encoded(STRUCT, footer)
    return data[: -8 - length] + forged + len(forged).to_bytes(4, "little") + b"PAR1"


def a_billion_rows() -> bytes:
    """Return a Parquet file whose metadata say 10^9 rows."""

    def change(footer: Any) -> None:
        footer[3] = 10**9
        for group in footer[4][1]:
            group[3] = 10**9
            for chunk in group[1][1]:
                chunk[3][5] = 10**9

    return with_footer(parquet(small()), change)


def forged_page(field: int, value: int) -> bytes:
    """Return a Parquet file of one column of numbers whose first page header has a field changed.

    Args:
        field: 2 is the size unpacked, 3 the size packed, 5 the data page header.
        value: Of the field, or of the count of values in the data page header.
    """
    data = parquet(small().select("a"))
    start = 4
    reader = Reader(data, start)
    header = reader.struct()
    end = reader.place
    if field == 5:
        header[5][1] = value
    else:
        header[field] = value
    forged = encoded(STRUCT, header)

    def change(footer: Any) -> None:
        footer[4][1][0][1][1][0][3][7] += len(forged) - (end - start)

    return with_footer(data[:start] + forged + data[end:], change)


def extension() -> bytes:
    """Return a Parquet file with a column of an extension type."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return parquet(small().with_columns(pl.col("a").ext.to(pl.Extension("evil.type", pl.Float64, "metadata"))))


def files(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Return hostile files by name, each with a part of the sentence it must be refused with.

    Args:
        canary: What a pickle would make if it ran.
    """
    y = npy(described("(3,)"), bytes(24))
    numbers = npy(described("(3, 2)"), bytes(48))
    return {
        "npz with a pickle": (pickled_npz(canary), "objects are never unpickled"),
        "a plain pickle": (plain_pickle(canary), "Python pickle"),
        "npy header of 32 GiB": (
            zipped({"X.npy": npy(described("(65536, 65536)")), "y.npy": y}),
            "34,359,738,368 bytes",
        ),
        "npz bomb": (bomb(), "bytes unpacked, at most"),
        "npz of 10,000 members": (zipped({f"m{i}.npy": b"" for i in range(10_000)}), "more than 4,096 members"),
        "npz with one name twice": (two_of_one_name(), "two members of one name"),
        "npz with ../x.npy": (zipped({"../x.npy": numbers, "y.npy": y}), "not a plain array"),
        "npz with /x.npy": (zipped({"/x.npy": numbers, "y.npy": y}), "not a plain array"),
        "npz with a folder": (zipped({"a\\x.npy": numbers, "y.npy": y}), "not a plain array"),
        "npy header of 4 GiB": (
            zipped({"X.npy": npy(b"x", version=2, length=2**32 - 1), "y.npy": y}),
            "4,294,967,295 bytes",
        ),
        "negative shape": (zipped({"X.npy": npy(described("(-1, 2)")), "y.npy": y}), "has shape (-1, 2)"),
        "overflowing shape": (zipped({"X.npy": npy(described(f"({2**63}, 2)")), "y.npy": y}), "has shape"),
        "product that overflows": (zipped({"X.npy": npy(described(f"({2**40}, {2**40})")), "y.npy": y}), "bytes, but"),
        "true as a size": (zipped({"X.npy": npy(described("(True, 2)")), "y.npy": y}), "has shape"),
        "structured type": (zipped({"X.npy": npy(described("(3,)", "[('a', '<f8')]")), "y.npy": y}), "is of type"),
        "bytes type": (zipped({"X.npy": npy(described("(3,)", "'S8'"), bytes(24)), "y.npy": y}), "is of type"),
        "complex type": (npz(X=np.zeros((3, 2), dtype=complex), y=np.zeros(3)), "is of type"),
        "long texts": (zipped({"X.npy": npy(described("(1,)", "'<U268435456'")), "y.npy": y}), "is of type"),
        "code as a header": (zipped({"X.npy": npy("__import__('os').abort()"), "y.npy": y}), "can not be read"),
        "deep header": (zipped({"X.npy": npy("(" * 9_000), "y.npy": y}), "can not be read"),
        "lying sizes": (lying_sizes(), "follow"),
        "zip64 with 2^40 members": (zip64_count(), "more than 4,096 members"),
        "cut archive": (npz(X=np.zeros((3, 2)), y=np.zeros(3))[:-40], "cut off"),
        "zip within a zip": (zipped({"inner.zip": zipped({"X.npy": numbers})}), "not a plain array"),
        "not an array": (zipped({"X.npy": b"hello"}), "not an NPY array"),
        "parquet of a billion rows": (a_billion_rows(), "1,000,000,000 rows"),
        "page of 2^31 - 1 values": (forged_page(5, 2**31 - 1), "damaged"),
        "page of -1 values": (forged_page(5, -1), "check it for damage"),
        "page of 2 GiB unpacked": (forged_page(2, 2**31 - 1), ""),
        "page of 2 GiB packed": (forged_page(3, 2**31 - 1), "damaged"),
        "page of negative size": (forged_page(2, -5), "damaged"),
        "parquet cut at a half": (parquet(small())[:600], "damaged"),
        "parquet of nothing": (b"PAR1PAR1", "damaged"),
        "parquet with an extension type": (extension(), "which can not be used"),
        "parquet with lists": (parquet(small().with_columns(pl.concat_list("a", "a").alias("l"))), "'l' is of type"),
        "parquet with bytes": (parquet(small().with_columns(pl.col("s").cast(pl.Binary))), "'s' is of type"),
        "csv of one long line": (b"x" * (9 << 20), "line 1 is longer"),
        "csv with a long second line": (b'a,b\n1,"' + b"x" * (9 << 20), "line 2 is longer"),
        "csv of a million columns": (b"c," * 1_000_000 + b"c\n", "longer than"),
        "csv of 5,000 columns": (
            b",".join(b"c%d" % i for i in range(5_000)) + b"\n" + b"1," * 4_999 + b"1\n",
            "5,000 columns",
        ),
        "csv with NUL": (b"a,b\n1,2\n3,\x00\n", "line 3 holds a NUL"),
        "csv of two encodings": ("a,b\n1,é\n".encode() + "2,é\n".encode("latin-1"), "line 3 holds the byte 0xE9"),
        "csv with 1e999": (b"a,y\n1,0\n1e999,1\n3,0\n", "row 2 of column 'a'"),
        "csv with -inf": (b"a,y\n1,0\n2,1\n-inf,0\n", "row 3 of column 'a'"),
        "an empty file": (b"", "is empty"),
        "blanks": (b" \n\n", "is empty"),
        "a header alone": (b"a,b\n", "no rows"),
        "gzip": (b"\x1f\x8b\x08\x00" + bytes(60), "gzip"),
        "zstd": (b"\x28\xb5\x2f\xfd" + bytes(60), "zstd"),
        "html": (b"<!DOCTYPE html><html><body>PK</body></html>", "HTML"),
        "json": (b'{"a": [1, 2]}', "JSON"),
        "utf-16": ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        "open quote": (b'a,y\n1,"0\n2,1\n', "quotes of row 1"),
        "too many cells": (b"a,y\n1,0\n2,1,5\n", "row 2 has 3 cells"),
    }
