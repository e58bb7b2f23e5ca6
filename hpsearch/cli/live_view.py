"""The moving picture of a study in a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpsearch.cli import console as consoles
from hpsearch.cli import words
from hpsearch.cli.console import safe
from hpsearch.cli.figures import number, parameters, sparkline, varying
from hpsearch.cli.progress import Snapshot, Story
from hpsearch.wire.pages import LeaderboardRow
from hpsearch.wording.trials import kind_of_trial

_MAX_ROWS: Final = 10
# Lines of the picture that are not rows of the leaderboard.
_FRAME_LINES: Final = 9
_WIDE: Final = 70


class LiveView:
    """Draws each snapshot over the last one on stderr.

    Args:
        console: Where to draw; stderr when left out.
        blocks: Whether block characters can be shown; asks the terminal when left out.
    """

    def __init__(self, console: Console | None = None, *, blocks: bool | None = None) -> None:
        self._console = console or consoles.err()
        self._blocks = consoles.can_draw() if blocks is None else blocks
        self._story = Story()
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the picture away; what follows stands in its place."""
        self._live.stop()

    def show(self, snapshot: Snapshot) -> None:
        """Draw a snapshot."""
        self._story.add(snapshot)
        self._live.update(picture(snapshot, self._story, self._console, blocks=self._blocks))

    def tell(self, text: str) -> None:
        """Print lines above the picture, where they stay."""
        self._live.console.print(Text(safe(text), style="yellow"), soft_wrap=True)

    def wait(self, text: str) -> None:
        """Show what is being waited for, before there is a picture."""
        self._live.update(Text(safe(text), style="dim"))


def picture(snapshot: Snapshot, story: Story, console: Console, *, blocks: bool) -> RenderableType:
    """Return all lines about a study, cut to the console's width and height."""
    n_rows = max(1, min(_MAX_ROWS, console.height - _FRAME_LINES))
    lines: list[RenderableType] = [
        _head(snapshot),
        _progress(snapshot, story, console),
        _best(snapshot, story, blocks=blocks),
    ]
    if snapshot.board.items:
        lines += [Text(), _board(snapshot, n_rows, console.width)]
    lines += [Text(), Text(f"workers  {safe(words.fleet(snapshot))}", style="dim", no_wrap=True, overflow="ellipsis")]
    if snapshot.study.note_to_user:
        lines.append(Text(safe(snapshot.study.note_to_user), style="yellow"))
    return Group(*lines)


def _head(snapshot: Snapshot) -> Text:
    study = snapshot.study
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(safe(study.name), style="bold")
    line.append(f"  {study.definition.algorithm.kind} search, {snapshot.board.direction} {snapshot.board.metric}")
    line.append(f"  {words.standing(snapshot)}", style="green" if study.state == "RUNNING" else "yellow")
    return line


def _progress(snapshot: Snapshot, story: Story, console: Console) -> RenderableType:
    left = words.time_left(story, snapshot)
    text = Text(words.tally(snapshot) + (f" · {left}" if left else ""), no_wrap=True, overflow="ellipsis")
    if snapshot.n_total is None or console.width < _WIDE:
        return text
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=24)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(ProgressBar(total=snapshot.n_total, completed=min(snapshot.study.n_trials, snapshot.n_total)), text)
    return grid


def _best(snapshot: Snapshot, story: Story, *, blocks: bool) -> Text:
    line = Text(words.best_so_far(snapshot), style="bold", no_wrap=True, overflow="ellipsis")
    curve = sparkline(story.best, 24, blocks=blocks)
    if curve:
        line.append(f"  {curve}", style="cyan")
    return line


def _board(snapshot: Snapshot, n_rows: int, width: int) -> Table:
    rows = snapshot.board.items[:n_rows]
    names = varying(row.params for row in rows)
    figures = {
        "rank": [str(row.rank) for row in rows],
        "trial": [str(row.number) for row in rows],
        snapshot.board.metric: [number(row.value) for row in rows],
        "epochs": ["-" if row.epochs is None else str(row.epochs) for row in rows],
    }
    if width < _WIDE:
        del figures["rank"], figures["epochs"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    for title, cells in figures.items():
        # Figures are never cut: the parameters, last in the line, give way.
        table.add_column(title, justify="right", no_wrap=True, min_width=max(map(len, [title, *cells])))
    table.add_column("parameters")
    for index, row in enumerate(rows):
        table.add_row(*(cells[index] for cells in figures.values()), _parameters(row, names))
    return table


def _parameters(row: LeaderboardRow, names: set[str]) -> Text:
    which = kind_of_trial(row.kind, row.params)
    # The text, not the column, may not be folded: rich narrows only columns that may.
    text = Text(f"{which}  " if which else "", style="magenta", no_wrap=True, overflow="ellipsis")
    return text.append(safe(parameters(row.params, names)), style="default")
