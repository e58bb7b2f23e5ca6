"""Live view of a study in a terminal, redrawn in place."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpsearch.cli import console as consoles
from hpsearch.cli.console import safe
from hpsearch.cli.display import trial_columns, wording
from hpsearch.cli.display.formatting import sparkline
from hpsearch.cli.display.study_progress import Snapshot, Story
from hpsearch.cli.display.table_layout import table

_MAX_ROWS: Final = 10
# Lines of the picture beside the leaderboard, and of its heading.
_FRAME_LINES: Final = 8
_HEADING_LINES: Final = 2
# What a board that moves need not show.
_LEFT_OUT: Final = ("weights", "ranks")
_RUNNING: Final = "running  "
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

    def notify(self, text: str) -> None:
        """Print lines above the picture, where they stay."""
        self._live.console.print(Text(consoles.readable(text, self._console), style="yellow"), soft_wrap=True)

    def wait(self, text: str) -> None:
        """Show what is being waited for, before there is a picture."""
        self._live.update(Text(safe(text), style="dim"))


def picture(snapshot: Snapshot, story: Story, console: Console, *, blocks: bool) -> RenderableType:
    """Return all lines about a study, cut to the console's width and height."""
    lines: list[RenderableType] = [
        _head(snapshot),
        _progress(snapshot, story, console),
        _best(snapshot, story, blocks=blocks),
    ]
    if snapshot.board.items:
        lines += [Text(), _Board(snapshot)]
    lines.append(Text())
    if running := wording.running(snapshot, console.width - len(_RUNNING)):
        lines.append(Text(_RUNNING + safe(running), style="dim", no_wrap=True, overflow="ellipsis"))
    lines.append(Text(f"workers  {safe(wording.fleet(snapshot))}", style="dim", no_wrap=True, overflow="ellipsis"))
    if snapshot.study.note_to_user:
        lines.append(Text(safe(snapshot.study.note_to_user), style="yellow"))
    return Group(*lines)


def _head(snapshot: Snapshot) -> Text:
    study = snapshot.study
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(safe(study.name), style="bold")
    line.append(f"  {study.definition.algorithm.kind} search, {snapshot.board.direction} {snapshot.board.metric}")
    line.append(f"  {wording.standing(snapshot)}", style="green" if study.state == "RUNNING" else "yellow")
    return line


def _progress(snapshot: Snapshot, story: Story, console: Console) -> RenderableType:
    left = wording.time_left(story, snapshot)
    text = Text(wording.tally(snapshot) + (f" · {left}" if left else ""), no_wrap=True, overflow="ellipsis")
    if snapshot.n_total is None or console.width < _WIDE:
        return text
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=24)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    grid.add_row(ProgressBar(total=snapshot.n_total, completed=min(snapshot.study.n_trials, snapshot.n_total)), text)
    return grid


def _best(snapshot: Snapshot, story: Story, *, blocks: bool) -> Text:
    line = Text(wording.best_so_far(snapshot), style="bold", no_wrap=True, overflow="ellipsis")
    curve = sparkline(story.best, 24, blocks=blocks)
    if curve:
        line.append(f"  {curve}", style="cyan")
    return line


class _Board:
    """The top of the leaderboard, as many rows as the terminal is high."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._page = snapshot.board

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        n_lines = max(_HEADING_LINES + 1, console.height - _FRAME_LINES)
        for n_rows in range(min(_MAX_ROWS, len(self._page.items)), 0, -1):
            page = self._page.model_copy(update={"items": self._page.items[:n_rows]})
            columns = trial_columns.laid_out(trial_columns.of_leaderboard(page), options.max_width)
            grid = table([column for column in columns if column.title not in _LEFT_OUT], console, is_ruled=True)
            if n_rows == 1 or len(console.render_lines(grid, options, pad=False)) <= n_lines:
                yield grid
                return
