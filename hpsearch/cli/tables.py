"""Tables of studies, leaderboards, trials, data sets, workers and tokens, on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from hpsearch.cli.console import note, out, safe
from hpsearch.cli.figures import ago, duration, number, parameters, size, varying
from hpsearch.client.finding import SHOWN
from hpsearch.domain.dataset import Dataset, DatasetProfile
from hpsearch.domain.trial import Trial
from hpsearch.wire.pages import LeaderboardPage, StudyView
from hpsearch.wire.tokens import TokenView
from hpsearch.wire.workers import WorkerView
from hpsearch.wording.figures import figure
from hpsearch.wording.final_model import headline
from hpsearch.wording.trials import kind_of_trial

_MAX_CATEGORIES: Final = 8


@dataclass(frozen=True)
class Heading:
    """One column: its title, and whether it holds numbers or may be folded over lines."""

    title: str
    is_number: bool = False
    folds: bool = False


def print_table(headings: Sequence[Heading], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns; a pipe gets one line per row, however long."""
    console = out()
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, show_edge=False, padding=(0, 1))
    for heading in headings:
        table.add_column(
            heading.title,
            justify="right" if heading.is_number else "left",
            no_wrap=not heading.folds,
            overflow="fold" if heading.folds else "ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.print(line.rstrip(), soft_wrap=True)


def print_studies(studies: Iterable[StudyView]) -> None:
    """Print one line per study."""
    headings = [
        Heading("id"),
        Heading("name"),
        Heading("state"),
        Heading("trials", is_number=True),
        Heading("best"),
        Heading("age"),
    ]
    print_table(headings, (_study_cells(study) for study in studies))


def _study_cells(study: StudyView) -> list[str]:
    best = "-"
    if study.final is not None:
        best = headline(study.final)
    elif study.best is not None:
        best = f"{study.resolved.metric} {figure(study.best.value)} (validation)"
    state = study.state.lower() + (f" ({study.end_reason})" if study.end_reason else "")
    trials = f"{study.n_trials}/{study.budget.max_trials}"
    return [study.study_id[:SHOWN], study.name, state, trials, best, ago(study.created_at)]


def print_leaderboard(page: LeaderboardPage) -> None:
    """Print the ranked trials with the parameters in which they differ, then those they share."""
    names = varying(row.params for row in page.items)
    confirmed = any(row.mean is not None for row in page.items)
    headings = [Heading("rank", is_number=True), Heading("trial", is_number=True)]
    if confirmed:
        headings += [Heading(f"{page.metric}, mean over seeds"), Heading("ranks")]
    # What the search saw: of one seed, on the validation rows.
    headings.append(Heading(f"{page.metric}, one seed" if confirmed else page.metric, is_number=True))
    headings += [
        Heading("epochs", is_number=True),
        Heading("weights", is_number=True),
        Heading("parameters", folds=True),
    ]

    def cells() -> Iterable[list[str]]:
        for row in page.items:
            which = kind_of_trial(row.kind, row.params)
            start = [str(row.rank), str(row.number)]
            if confirmed:
                start += [_mean(row.mean, row.interval), _ranks(row.rank_interval)]
            start.append(number(row.value))
            end = [
                _whole(row.epochs),
                _whole(row.n_weights),
                f"{which + '  ' if which else ''}{parameters(row.params, names)}",
            ]
            yield start + end

    print_table(headings, cells())
    if confirmed and any(row.mean is None for row in page.items):
        note("Ranked by the mean over new seeds; those without one follow, by the value of their one seed.")
    shared = {name: value for name, value in (page.items[0].params if page.items else {}).items() if name not in names}
    if shared:
        out().print(Text(f"all: {safe(parameters(shared))}", style="dim"), soft_wrap=True)


def _mean(mean: float | None, interval: tuple[float, float] | None) -> str:
    if mean is None:
        return "-"
    return number(mean) + (f" ({number(interval[0])} to {number(interval[1])})" if interval else "")


def _ranks(interval: tuple[int, int] | None) -> str:
    if interval is None:
        return "-"
    low, high = interval
    return str(low) if low == high else f"{low}-{high}"


def _whole(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def print_trials(trials: Sequence[Trial], metric: str) -> None:
    """Print one line per trial, in the given order."""
    names = varying(trial.params for trial in trials)
    headings = [Heading("trial", is_number=True), Heading("state"), Heading(metric, is_number=True)]
    headings += [Heading("epochs", is_number=True), Heading("attempt", is_number=True), Heading("took", is_number=True)]
    headings.append(Heading("parameters", folds=True))

    def cells() -> Iterable[list[str]]:
        for trial in trials:
            which = kind_of_trial(trial.kind, trial.params)
            state = trial.state.lower() + (f" ({trial.cause})" if trial.cause else "")
            start = [str(trial.number), state, number(trial.value), _whole(trial.epochs), str(trial.attempt)]
            yield [
                *start,
                duration(trial.duration_s),
                f"{which + '  ' if which else ''}{parameters(trial.params, names)}",
            ]

    print_table(headings, cells())


def print_datasets(datasets: Iterable[Dataset]) -> None:
    """Print one line per data set."""
    headings = [Heading("id"), Heading("name"), Heading("from"), Heading("rows", is_number=True)]
    headings += [
        Heading("columns", is_number=True),
        Heading("target"),
        Heading("task"),
        Heading("size", is_number=True),
    ]
    print_table(
        headings,
        (
            [d.dataset_id, d.name, d.source, f"{d.n_rows:,}", str(d.n_columns), d.target, d.task, size(d.size_bytes)]
            for d in datasets
        ),
    )


def print_profile(profile: DatasetProfile) -> None:
    """Print the columns of a data set."""
    headings = [Heading("column"), Heading("kind"), Heading("missing", is_number=True), Heading("values", folds=True)]

    def cells() -> Iterable[list[str]]:
        for column in profile.columns:
            spread = f"{number(column.minimum)} to {number(column.maximum)}, mean {number(column.mean)}"
            more = ", …" if len(column.categories) > _MAX_CATEGORIES else ""
            shown = ", ".join(column.categories[:_MAX_CATEGORIES]) + more
            yield [column.name, column.kind, f"{column.n_missing:,}", shown if column.categories else spread]

    print_table(headings, cells())


def print_workers(workers: Iterable[WorkerView]) -> None:
    """Print one line per worker."""
    headings = [Heading("id"), Heading("name"), Heading("state"), Heading("running", is_number=True)]
    headings += [Heading("finished", is_number=True), Heading("trials/h", is_number=True)]
    headings += [Heading("devices"), Heading("heard of")]
    print_table(
        headings,
        (
            [
                w.worker_id,
                w.name,
                w.state.lower(),
                str(w.n_running),
                str(w.n_finished),
                "-" if w.progress is None else f"{w.progress.trials_per_hour:,.0f}",
                _devices(w),
                ago(w.last_seen_at),
            ]
            for w in workers
        ),
    )


def _devices(worker: WorkerView) -> str:
    return ", ".join(f"{device.kind} {device.name}" for device in worker.devices) or "-"


def print_tokens(tokens: Iterable[TokenView]) -> None:
    """Print one line per token."""
    headings = [Heading("id"), Heading("name"), Heading("scopes"), Heading("made"), Heading("state")]
    print_table(headings, ([t.token_id, t.name, ", ".join(t.scopes), ago(t.created_at), _validity(t)] for t in tokens))


def _validity(token: TokenView) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "valid" if token.expires_at is None else f"valid until {token.expires_at:%Y-%m-%d %H:%M} UTC"
