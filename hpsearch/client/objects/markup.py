"""Tables and bars as text and as HTML; everything that comes from a server is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence
from enum import Enum
from typing import Any, Final

_DIGITS: Final = 4
_MAX_CHARACTERS: Final = 40


def plain(value: Any) -> Any:
    """Return a value for a data frame: an enumeration's member becomes its text."""
    return str(value.value) if isinstance(value, Enum) else value


def cell(value: object) -> str:
    """Return a value as people read it: nothing for None, real numbers with four digits, long texts cut."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{_DIGITS}g}"
    text = str(plain(value))
    return text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"


def printable(text: str) -> str:
    """Return a text for a terminal, without characters that could move its cursor."""
    return "".join(character if character.isprintable() else "�" for character in text)


def table_text(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in columns of fixed width."""
    cells = [[printable(cell(value)) for value in row] for row in [list(names), *rows]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(names))]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines)


def table_html(title: str, names: Sequence[str], rows: Sequence[Sequence[object]], rest: str = "") -> str:
    """Return a table as HTML, with a caption and a line under it."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell(value))}</td>" for value in row) + "</tr>" for row in rows)
    foot = f"<div>{html.escape(rest.strip())}</div>" if rest else ""
    return f"<table><caption>{html.escape(title)}</caption><tr>{head}</tr>{body}</table>{foot}"


def facts_html(title: str, facts: Sequence[tuple[str, object]], *, done_fraction: float | None = None) -> str:
    """Return facts under a title as HTML, with a bar when a fraction (0 to 1) is done."""
    bar = "" if done_fraction is None else f'<progress value="{done_fraction:.4f}" max="1"></progress>'
    rows = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(cell(value))}</td></tr>"
        for name, value in facts
        if value is not None
    )
    return f"<div><b>{html.escape(title)}</b> {bar}</div><table>{rows}</table>"
