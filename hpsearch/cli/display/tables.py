"""Tables of studies, leaderboards, trials, data sets, workers and tokens, on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from hpsearch.cli.console import note, out, safe
from hpsearch.cli.display import trial_columns, wording
from hpsearch.cli.display.formatting import ago, number, size, whole
from hpsearch.cli.display.table_layout import Column, table
from hpsearch.client.lookup import SHOWN
from hpsearch.domain.dataset import Column as DataColumn
from hpsearch.domain.dataset import Dataset, DatasetProfile
from hpsearch.domain.trial import Trial
from hpsearch.wire.pages import LeaderboardPage, StudyView
from hpsearch.wire.tokens import TokenView
from hpsearch.wire.workers import WorkerView
from hpsearch.wording.end_reasons import end_reason
from hpsearch.wording.figures import figure
from hpsearch.wording.final_model import headline

_MAX_CATEGORIES: Final = 8


def print_table(columns: Sequence[Column]) -> None:
    """Print aligned columns as wide as the terminal; a pipe gets one line per row, however long."""
    console = out()
    if console.is_terminal:
        console.print(table(columns, console, is_ruled=True))
        return
    with console.capture() as capture:
        console.print(table(columns, console, is_ruled=False))
    for line in capture.get().splitlines():
        console.print(line.rstrip(), soft_wrap=True)


def print_studies(studies: Sequence[StudyView]) -> None:
    """Print one line per study."""
    print_table(
        [
            Column("id", [s.study_id[:SHOWN] for s in studies], gives_way=7),
            Column("name", [s.name for s in studies], folds=True),
            Column("state", [_state(s) for s in studies]),
            Column("trials", [f"{s.n_trials}/{s.budget.max_trials}" for s in studies], is_number=True),
            Column("best", [_best(s) for s in studies]),
            Column("age", [ago(s.created_at) for s in studies], gives_way=8),
        ]
    )


def _state(study: StudyView) -> str:
    usual = study.end_reason in (None, "max_trials", "space_exhausted")
    return study.state.lower() + ("" if usual else f" ({end_reason(study.end_reason)})")


def _best(study: StudyView) -> str:
    if study.final is not None:
        return headline(study.final)
    return "-" if study.best is None else f"{study.resolved.metric} {figure(study.best.value)} (validation)"


def print_leaderboard(page: LeaderboardPage, columns: str | None = None) -> None:
    """Print the ranked trials with the parameters in which they differ, then those they share.

    Args:
        page: The ranked trials.
        columns: Names of the columns wanted instead, separated by commas.

    Raises:
        InvalidInputError: There is no such column.
    """
    if columns is not None:
        print_table(trial_columns.chosen_of_leaderboard(page, columns))
        return
    _print_rows(trial_columns.of_leaderboard(page))
    means = [row.mean for row in page.items]
    if None in means and means != [None] * len(means):
        note("Ranked by the mean over new seeds; those without one follow, by the value of their one seed.")


def print_trials(trials: Sequence[Trial], metric: str, columns: str | None = None) -> None:
    """Print trials in the given order, as `print_leaderboard` does.

    Raises:
        InvalidInputError: There is no such column.
    """
    if columns is not None:
        print_table(trial_columns.chosen_of_trials(trials, metric, columns))
        return
    _print_rows(trial_columns.of_trials(trials, metric))


def _print_rows(rows: trial_columns.Rows) -> None:
    console = out()
    print_table(trial_columns.laid_out(rows, console.width if console.is_terminal else None))
    if shared := trial_columns.shared(rows):
        out().print(Text(f"all: {safe(shared)}", style="dim"), soft_wrap=not console.is_terminal)


def print_datasets(datasets: Sequence[Dataset]) -> None:
    """Print one line per data set."""
    print_table(
        [
            Column("id", [d.dataset_id for d in datasets]),
            Column("name", [d.name for d in datasets], folds=True),
            Column("from", [d.source for d in datasets], gives_way=9),
            Column("rows", [whole(d.n_rows) for d in datasets], is_number=True),
            Column("columns", [whole(d.n_columns) for d in datasets], is_number=True, gives_way=7),
            Column("target", [d.target for d in datasets], gives_way=6),
            Column("task", [d.task for d in datasets], gives_way=5),
            Column("size", [size(d.size_bytes) for d in datasets], is_number=True, gives_way=8),
        ]
    )


def print_profile(profile: DatasetProfile) -> None:
    """Print the columns of a data set."""
    columns = profile.columns
    print_table(
        [
            Column("column", [column.name for column in columns]),
            Column("kind", [column.kind for column in columns]),
            Column("missing", [whole(column.n_missing) for column in columns], is_number=True),
            Column("values", [_values(column) for column in columns], folds=True),
        ]
    )


def _values(column: DataColumn) -> str:
    if not column.categories:
        return f"{number(column.minimum)} to {number(column.maximum)}, mean {number(column.mean)}"
    return ", ".join(column.categories[:_MAX_CATEGORIES]) + (", …" if len(column.categories) > _MAX_CATEGORIES else "")


def print_workers(workers: Sequence[WorkerView]) -> None:
    """Print one line per worker, then why some are in quarantine."""
    print_table(
        [
            Column("id", [w.worker_id[:SHOWN] for w in workers]),
            Column("name", [w.name for w in workers], folds=True),
            Column("state", [w.state.lower() for w in workers]),
            Column("doing", [wording.doing_of(w) if w.state != "GONE" else "-" for w in workers]),
            Column("finished", [whole(w.n_finished) for w in workers], is_number=True, gives_way=7),
            Column("trials/h", [_pace(w) for w in workers], is_number=True, gives_way=8),
            Column("devices", [_devices(w) for w in workers], gives_way=9),
            Column("heard of", [ago(w.last_seen_at) for w in workers], gives_way=6),
        ]
    )
    for w in workers:
        if w.quarantine_reason is not None:
            note(f"{w.name} gets no trials for a while: {w.quarantine_reason}")


def _pace(worker: WorkerView) -> str:
    return "-" if worker.progress is None else f"{worker.progress.trials_per_hour:,.0f}"


def _devices(worker: WorkerView) -> str:
    return ", ".join(f"{device.kind} {device.name}" for device in worker.devices) or "-"


def print_tokens(tokens: Sequence[TokenView]) -> None:
    """Print one line per token."""
    print_table(
        [
            Column("id", [t.token_id for t in tokens]),
            Column("name", [t.name for t in tokens], folds=True),
            Column("scopes", [", ".join(t.scopes) for t in tokens]),
            Column("made", [ago(t.created_at) for t in tokens], gives_way=9),
            Column("state", [_validity(t) for t in tokens]),
        ]
    )


def _validity(token: TokenView) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "valid" if token.expires_at is None else f"valid until {token.expires_at:%Y-%m-%d %H:%M} UTC"
