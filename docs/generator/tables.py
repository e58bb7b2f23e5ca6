"""Markdown tables of what code says of itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel

_OURS = ("hpsearch.", "api.")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; without rows an empty text."""
    lines = [_line(row) for row in rows]
    if not lines:
        return ""
    return "\n".join([_line(headings), "|" + "---|" * len(headings), *lines]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ").strip() for cell in cells) + " |"


def code(text: object) -> str:
    """Return a text as code; nothing stays nothing."""
    return f"`{text}`" if str(text) else ""


def attributes(kind: type) -> dict[str, str]:
    """Return what the docstring of a class says of each of its attributes."""
    text = inspect.getdoc(kind) or ""
    section = text.partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for match in re.finditer(r"^    (\w+): (.*(?:\n {8,}.*)*)", section, flags=re.MULTILINE):
        found[match[1]] = re.sub(r"\s+", " ", match[2])
    return found


def fields_of(name: str) -> dict[str, str]:
    """Return what the model of a name says of each of its fields; nothing when no model, or more than one, has it."""
    found = [kind for kind in _below(BaseModel) if kind.__name__ == name and kind.__module__.startswith(_OURS)]
    return attributes(found[0]) if len(found) == 1 else {}


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
