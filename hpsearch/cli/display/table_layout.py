"""Tables as wide as the terminal: one line a row where that fits, otherwise fewer columns or a folded one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hpsearch.cli.console import safe

_GAP: Final = 2
# Of a narrow terminal a column that folds gets this part before columns that may be left out get theirs.
_ROOMY: Final = 0.75
_LEAST: Final = 12


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: Above it.
        cells: One for each row.
        is_number: Whether it is aligned to the right.
        folds: Whether its words may go on in further lines where the terminal is narrow.
        gives_way: Where the terminal is narrow the highest number is left out first; None stays.
    """

    title: str
    cells: Sequence[str]
    is_number: bool = False
    folds: bool = False
    gives_way: int | None = None

    @property
    def width(self) -> int:
        """Characters of its widest line."""
        return max(cell_len(line) for cell in (self.title, *self.cells) for line in cell.split("\n"))


def fits(columns: Sequence[Column], width: int) -> bool:
    """Return whether the columns stand side by side in so many characters, nothing folded."""
    return _total(columns) <= width


def fitted(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns for a terminal of so many characters.

    At first long titles are set over several lines, then the columns that give way are left out one by one, then those
    that fold are folded. Columns are left out, too, to give those that fold room to be read.
    """
    chosen = list(columns) if fits(columns, width) else [_with_short_title(column) for column in columns]
    while not fits(chosen, width):
        folding = [column for column in chosen if column.folds]
        ranks = [column.gives_way for column in chosen if column.gives_way is not None]
        room = width - _total(chosen) + sum(column.width for column in folding)
        if folding and (not ranks or room >= _ROOMY * width):
            return _folded(chosen, room)
        if not ranks:
            break
        chosen = [column for column in chosen if column.gives_way != max(ranks)]
    return chosen


def _folded(columns: Sequence[Column], room: int) -> list[Column]:
    """Return the columns, those that fold in so many characters together: the narrow ones get what they need."""
    shares: dict[str, int] = {}
    folding = sorted((column for column in columns if column.folds), key=lambda column: column.width)
    for n_left, column in zip(range(len(folding), 0, -1), folding, strict=True):
        shares[column.title] = max(_LEAST, min(column.width, (room - sum(shares.values())) // n_left))
    return [
        replace(column, cells=[wrapped(cell, shares[column.title]) for cell in column.cells])
        if column.folds
        else column
        for column in columns
    ]


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + _GAP * (len(columns) - 1)


def _with_short_title(column: Column) -> Column:
    """Return the column with its title over several lines, where it is wider than what stands below it."""
    if len(column.title) <= max(map(cell_len, column.cells), default=0):
        return column
    return replace(column, title=column.title.replace("_", "_\n").replace(" ", "\n"))


def wrapped(text: str, width: int) -> str:
    """Return a text over several lines, broken between words, and inside of one too long for a line after a hyphen."""
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines += _pieces(word, width)
    return "\n".join(lines)


def _pieces(word: str, width: int) -> Iterator[str]:
    """Yield a word whole if it fits into a line, otherwise in pieces that end with a hyphen where they can."""
    while cell_len(word) > width:
        at = word.rfind("-", 0, width) + 1 or width
        yield word[:at]
        word = word[at:]
    yield word


def table(columns: Sequence[Column], console: Console, *, is_ruled: bool) -> Table:
    """Return the columns, fitted to the console, as a table.

    Args:
        columns: At least one.
        console: Which will print it.
        is_ruled: Whether a rule stands below the titles, for people; the character between two columns is then its.
    """
    grid = Table(
        box=box.SIMPLE_HEAD if is_ruled else None,
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0) if is_ruled else (0, _GAP, 0, 0),
    )
    shown = fitted([_safe(column) for column in columns], console.width)
    for column in shown:
        grid.add_column(column.title, justify="right" if column.is_number else "left", no_wrap=True)
    for cells in zip(*(column.cells for column in shown), strict=True):
        grid.add_row(*map(Text, cells))
    return grid


def _safe(column: Column) -> Column:
    return replace(column, title=safe(column.title), cells=[safe(cell).replace("\n", " ") for cell in column.cells])
