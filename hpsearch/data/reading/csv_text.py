"""Whether the bytes of a CSV file are text that is safe to parse, and how its first record reads."""

from __future__ import annotations

import codecs
import csv
from dataclasses import dataclass
from typing import IO, Final

from hpsearch.data.reading.limits import MAX_COLUMNS, MAX_LINE_BYTES, MAX_ROWS
from hpsearch.errors import InvalidDatasetError

_BOM: Final = b"\xef\xbb\xbf"
_SEPARATORS: Final = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Header:
    """The first record of a CSV file.

    Attributes:
        cells: As written, stripped of blanks.
        separator: One character.
        end: Byte offset of the record after it.
    """

    cells: list[str]
    separator: str
    end: int


def scan_text(file: IO[bytes]) -> int:
    """Return the number of line ends, after reading the whole file once.

    Raises:
        InvalidDatasetError: A NUL, bytes that are not UTF-8, a line of more than a MiB, or too many lines.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    n_lines = 0
    pending = False
    while block := file.read(MAX_LINE_BYTES):
        if b"\x00" in block:
            line = n_lines + block.count(b"\n", 0, block.index(b"\x00")) + 1
            msg = f"line {line} holds a NUL byte, so the file is not CSV text; save it as CSV in UTF-8"
            raise InvalidDatasetError(msg, code="dataset.encoding")
        if pending or not block.isascii():
            pending = _decodes(decoder, block, n_lines)
        ends = block.count(b"\n")
        if not ends and len(block) == MAX_LINE_BYTES:
            msg = (
                f"line {n_lines + 1} is longer than {MAX_LINE_BYTES:,} bytes; "
                f"put one row on each line, at most {MAX_COLUMNS:,} columns"
            )
            raise InvalidDatasetError(msg, code="dataset.too_large")
        n_lines += ends
        if n_lines > MAX_ROWS + 1:
            msg = f"the file has more than {MAX_ROWS:,} lines, at most {MAX_ROWS:,} rows are taken; leave some out"
            raise InvalidDatasetError(msg, code="dataset.too_large")
    if pending:
        msg = f"line {n_lines + 1} ends within a character, so the file is cut off; send it again"
        raise InvalidDatasetError(msg, code="dataset.encoding")
    return n_lines


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, n_lines: int) -> bool:
    """Return whether a character is still open at the end of the block."""
    try:
        decoder.decode(block)
    except UnicodeDecodeError as error:
        # The decoder may hold up to three bytes of the block before; they shift the place, not the line.
        line = n_lines + block.count(b"\n", 0, error.start) + 1
        bad = error.object[error.start]
        msg = f"line {line} holds the byte 0x{bad:02X}, which is not UTF-8; save the file as UTF-8"
        raise InvalidDatasetError(msg, code="dataset.encoding") from None
    return bool(decoder.getstate()[0])


def read_header(head: bytes, least_columns: int = 2) -> Header:
    """Return the first record, with the separator that splits it into the most cells.

    Args:
        head: The first bytes of a file that scan_text accepted; all of its first record.
        least_columns: Fewer are refused.

    Raises:
        InvalidDatasetError: There are too few cells, or the quotes do not close.
    """
    start = len(_BOM) if head.startswith(_BOM) else 0
    while head[start : start + 1] in (b"\n", b"\r"):
        start += 1
    lines = [line.decode("utf-8", errors="replace") for line in head[start:].splitlines(keepends=True)]
    best: tuple[list[str], str, int] = ([], ",", 0)
    for separator in _SEPARATORS:
        reader = csv.reader(lines, delimiter=separator, strict=True)
        try:
            cells = next(reader, [])
        except csv.Error:
            continue
        if len(cells) > len(best[0]):
            best = (cells, separator, reader.line_num)
    cells, separator, n_lines = best
    if len(cells) < least_columns:
        found = f"one cell, {cells[0][:40]!r}" if cells else "no readable cell"
        msg = f"the first line has {found}; expected column names separated by commas, at least {least_columns} of them"
        raise InvalidDatasetError(msg, code="dataset.header")
    end = start + sum(len(line) for line in head[start:].splitlines(keepends=True)[:n_lines])
    return Header([cell.strip() for cell in cells], separator, end)
