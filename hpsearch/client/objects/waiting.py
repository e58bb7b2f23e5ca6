"""Progress bar while waiting for the end of a study: in a terminal, in a notebook, or none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from hpsearch.client.objects.markup import cell, printable
from hpsearch.client.wakeups import Wakeups
from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.domain.study import MAX_TRIALS
from hpsearch.errors import UnavailableError

if TYPE_CHECKING:
    from hpsearch.client.client import Client
    from hpsearch.client.objects.study import Study
    from hpsearch.wire.pages import StudyView

# Looked at this often when no event comes, and not more often than this when many do.
_POLL_S: Final = 1.0
_GAP_S: Final = 0.2
# A server that stays away this long is given up; the study on it goes on.
GIVE_UP_AFTER_S: Final = 600.0

Show = Callable[["Study"], None]


def until_ended(study: Study, client: Client, *, show: Show, tend: Callable[[], None], timeout_s: float | None) -> None:
    """Return when the study has ended, whatever its end; a server that is restarted meanwhile is waited for.

    Args:
        study: Kept up to date.
        client: Of its server.
        show: Called at each look.
        tend: Called before each look, about every second.
        timeout_s: Seconds; None waits as long as it takes.

    Raises:
        TimeoutError: It has not ended in time; it goes on.
        UnavailableError: The server has been away for ten minutes.
        HpsearchError: The server refuses, or the study is gone.
    """
    began_s = time.monotonic()
    away_since_s: float | None = None
    with Wakeups(lambda: client, study.study_id) as wakeups:
        while True:
            tend()
            try:
                study.refresh()
            except UnavailableError:
                now_s = time.monotonic()
                away_since_s = now_s if away_since_s is None else away_since_s
                if now_s - away_since_s > GIVE_UP_AFTER_S:
                    raise
                client.find_again()
            else:
                away_since_s = None
                show(study)
                if study.has_ended:
                    return
            left_s = None if timeout_s is None else began_s + timeout_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                msg = f"study {study.name!r} has not ended within {timeout_s:g} s; it goes on: wait() again"
                raise TimeoutError(msg)
            pause_s = min(_POLL_S, left_s) if left_s is not None else _POLL_S
            wakeups.rest(min(_GAP_S, pause_s))
            wakeups.wait(pause_s)


def done_fraction(view: StudyView) -> float | None:
    """Return how much of the budget's trials is finished, 0 to 1; None when something else ends the search."""
    total = view.budget.max_trials
    if view.state in STUDY_FINAL:
        return 1.0
    return min(1.0, view.n_trials / total) if total < MAX_TRIALS else None


def line(view: StudyView) -> str:
    """Return how a study stands, in one line."""
    total = view.budget.max_trials
    n_running = view.counts.get("RUNNING", 0)
    parts = [f"{view.n_trials} of {total} trials" if total < MAX_TRIALS else f"{view.n_trials} trials"]
    if view.state in STUDY_FINAL:
        parts.append(view.state.lower() + (f" ({view.end_reason})" if view.end_reason else ""))
    elif n_running:
        parts.append(f"{n_running} running" + (f" ({view.phase})" if view.phase not in ("search", "ended") else ""))
    if view.best is not None:
        parts.append(f"best {view.resolved.metric} {cell(view.best.value)}")
    if view.note_to_user:
        parts.append(view.note_to_user)
    return ", ".join(parts)


@contextmanager
def shown(*, progress: bool) -> Iterator[Show]:
    """Yield what shows a study while one waits: a table that moves in a notebook, a bar in a terminal, else nothing."""
    if not progress:
        yield lambda _study: None
    elif in_notebook():
        yield _NotebookView().show
    else:
        with _terminal() as show:
            yield show


def in_notebook() -> bool:
    """Return whether this program is the kernel of a notebook."""
    interactive = sys.modules.get("IPython")
    shell: Any = interactive.get_ipython() if interactive is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


class _NotebookView:
    """One output of a cell that is written anew whenever the study changes; its last state stays in the file."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._last = ""

    def show(self, study: Study) -> None:
        from IPython import display as shown_by

        notebook: Any = shown_by
        markup = study._repr_html_()
        if markup == self._last:
            return
        self._last = markup
        if self._handle is None:
            self._handle = notebook.display(notebook.HTML(markup), display_id=True)
        else:
            self._handle.update(notebook.HTML(markup))


@contextmanager
def _terminal() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    name, how = TextColumn("{task.fields[name]}", markup=False), TextColumn("{task.description}", markup=False)
    with Progress(name, BarColumn(), how, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=None, name="")

        def show(study: Study) -> None:
            fraction = done_fraction(study.view)
            text = printable(line(study.view))
            bar.update(
                task, description=text, name=printable(study.name), total=None if fraction is None else 1.0,
                completed=fraction or 0.0,
            )  # fmt: skip

        yield show
