"""Exports of a study's trials: CSV, JSON lines, Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, Literal

from starlette.responses import Response, StreamingResponse

Format = Literal["csv", "parquet", "jsonl"]
Row = dict[str, Any]

_MEDIA: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_CHUNK_ROWS: Final = 500


def export_response(rows: Callable[[], Iterable[Row]], form: Format, name: str) -> Response:
    """Return all rows as an attachment.

    Args:
        rows: Gives the rows, the same ones each time it is called but for what happened in between.
        form: `csv`, `jsonl` or `parquet`.
        name: Of the file, without its ending: letters, digits, `-` and `_`.
    """
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"'}
    if form == "parquet":
        return Response(_parquet(list(rows())), headers=headers, media_type=_MEDIA[form])
    if form == "jsonl":
        chunks = _in_chunks(map(_json_line, _peeked(iter(rows()))))
    else:
        columns = _columns(rows())
        chunks = _csv(columns, rows())
    return StreamingResponse(chunks, headers=headers, media_type=_MEDIA[form])


def _peeked(rows: Iterator[Row]) -> Iterator[Row]:
    """Return the rows with the first one already read, so that an error of the source comes before any answer."""
    head = list(islice(rows, 1))

    def everything() -> Iterator[Row]:
        yield from head
        yield from rows

    return everything()


def _columns(rows: Iterable[Row]) -> list[str]:
    """Return every column that occurs: facts first, then parameters, then metrics."""
    seen: dict[str, None] = {}
    for row in rows:
        seen.update(dict.fromkeys(row))
    return sorted(seen, key=lambda name: name.startswith("param.") + 2 * name.startswith("metric."))


def _in_chunks(lines: Iterator[str]) -> Iterator[bytes]:
    while chunk := list(islice(lines, _CHUNK_ROWS)):
        yield "".join(chunk).encode()


def _json_line(row: Row) -> str:
    return json.dumps(row, allow_nan=False, ensure_ascii=False, separators=(",", ":")) + "\n"


def _csv(columns: list[str], rows: Iterable[Row]) -> Iterator[bytes]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([_cell(column) for column in columns])
    remaining = iter(rows)
    while True:
        chunk = list(islice(remaining, _CHUNK_ROWS))
        writer.writerows([[_cell(row.get(column)) for column in columns] for row in chunk])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()
        if not chunk:
            return


def _cell(value: object) -> object:
    """Return a cell that no spreadsheet runs: text that looks like a formula gets an apostrophe in front."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _parquet(rows: list[Row]) -> bytes:
    import polars as pl  # noqa: PLC0415 - heavy, and most servers never export

    columns = _columns(rows)
    frame = pl.DataFrame([_series(pl, name, [row.get(name) for row in rows]) for name in columns])
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _series(pl: Any, name: str, values: list[Any]) -> Any:
    """Return a column of one type: a choice may hold numbers and words together, which become words."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and float in kinds:
        return pl.Series(name, [None if value is None else float(value) for value in values], dtype=pl.Float64)
    for kind, dtype in ((bool, pl.Boolean), (int, pl.Int64)):
        if kinds == {kind}:
            return pl.Series(name, values, dtype=dtype)
    texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return pl.Series(name, texts, dtype=pl.String)
