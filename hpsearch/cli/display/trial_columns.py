"""The columns of a leaderboard and of a list of trials, and how they are laid out in a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from hpsearch.cli.display.formatting import duration, parameter_cells, parameters, score, varying, whole
from hpsearch.cli.display.table_layout import Column, fits, fitted
from hpsearch.domain.nearest import nearest
from hpsearch.domain.trial import Params, Trial
from hpsearch.errors import InvalidInputError
from hpsearch.wire.pages import LeaderboardPage, LeaderboardRow
from hpsearch.wording.trials import kind_of_trial

# In this order the columns of figures are left out in a narrow terminal.
_GIVES_WAY: Final = {"weights": 9, "epochs": 8, "attempt": 7, "took": 6, "ranks": 5, "rank": 4}
# Such as 12, 5,000, 0.00123, 1.2e-06, 128-64, 1 m 05 s; and the dash of none.
_NUMBER: Final = re.compile(r"-|[-+]?[0-9.,]+(e[-+]?[0-9]+)?( [a-z]+( [0-9]+ [a-z]+)?)?|[0-9]+(-[0-9]+)+|inf|nan")
PARAMETERS: Final = "parameters"

Row = TypeVar("Row", LeaderboardRow, Trial)
Figures = Mapping[str, Callable[[Row], str]]


@dataclass(frozen=True)
class Rows:
    """Trials to be shown.

    Attributes:
        figures: Columns by title, in order, each a text for every trial.
        params: Of every trial.
        kinds: What each is, empty for a search trial.
    """

    figures: Mapping[str, Sequence[str]]
    params: Sequence[Params]
    kinds: Sequence[str]


def of_leaderboard(page: LeaderboardPage) -> Rows:
    """Return a page of the leaderboard; with columns for the confirmation if there was one."""
    known = _leaderboard_figures(page.metric)
    if not any(row.mean is not None for row in page.items):
        return _rows(page.items, known, ["rank", "trial", page.metric, "epochs", "weights"])
    # What the search saw comes last: of one seed, on the validation rows.
    mean, one_seed = f"{page.metric}, mean over seeds", f"{page.metric}, one seed"
    known = {**known, mean: lambda row: _mean(row.mean, row.interval), one_seed: known[page.metric]}
    return _rows(page.items, known, ["rank", "trial", mean, "ranks", one_seed, "epochs", "weights"])


def of_trials(trials: Sequence[Trial], metric: str) -> Rows:
    """Return trials in the given order."""
    return _rows(trials, _trial_figures(metric), ["trial", "state", metric, "epochs", "attempt", "took"])


def chosen_of_leaderboard(page: LeaderboardPage, wanted: str) -> list[Column]:
    """Return the columns somebody named, separated by commas.

    Raises:
        InvalidInputError: There is no such column.
    """
    return _chosen(page.items, _leaderboard_figures(page.metric), wanted)


def chosen_of_trials(trials: Sequence[Trial], metric: str, wanted: str) -> list[Column]:
    """Return the columns somebody named, separated by commas.

    Raises:
        InvalidInputError: There is no such column.
    """
    return _chosen(trials, _trial_figures(metric), wanted)


def laid_out(rows: Rows, width: int | None) -> list[Column]:
    """Return the columns for a terminal of so many characters, or for a pipe.

    A terminal gets a column for each parameter in which the trials differ, if these have room beside the trial and its
    value; otherwise, and in a pipe, all stand in one column as ``name=value``.
    """
    figures = [
        Column(title, cells, is_number=_are_numbers(cells), gives_way=_GIVES_WAY.get(title))
        for title, cells in rows.figures.items()
    ]
    names = _names(rows)
    if width is not None:
        apart = figures + _kind(rows) + _parameter_columns(rows.params, names)
        if fits(fitted(apart, width), width):
            return apart
    cells = [
        (f"{kind}  " if kind else "") + parameters(params, names)
        for kind, params in zip(rows.kinds, rows.params, strict=True)
    ]
    return [*figures, Column(PARAMETERS, cells, folds=True)]


def shared(rows: Rows) -> str:
    """Return the parameters that are the same in all trials; empty when there are none."""
    names, searched = _names(rows), _searched(rows)
    return parameters({name: value for name, value in (searched or ({},))[0].items() if name not in names})


def _searched(rows: Rows) -> Sequence[Params]:
    """Return the params of the search trials; of all where there is none."""
    return [params for params, kind in zip(rows.params, rows.kinds, strict=True) if not kind] or rows.params


def _names(rows: Rows) -> set[str]:
    """Return the parameters in which the trials differ; what only a baseline has is no parameter of the search."""
    return varying(rows.params) & {name for params in _searched(rows) for name in params}


def _rows(items: Sequence[Row], known: Figures[Row], titles: Sequence[str]) -> Rows:
    figures = {title: [known[title](item) for item in items] for title in titles}
    return Rows(figures, [item.params for item in items], [kind_of_trial(i.kind, i.params) for i in items])


def _kind(rows: Rows) -> list[Column]:
    return [Column("kind", rows.kinds)] if any(rows.kinds) else []


def _parameter_columns(params: Sequence[Params], names: set[str] | None) -> list[Column]:
    cells = [parameter_cells(one, names) for one in params]
    titles = parameter_cells({name: value for one in reversed(params) for name, value in one.items()}, names)
    return [
        Column(title, column, is_number=_are_numbers(column))
        for title in titles
        if (column := [one.get(title, "-") for one in cells])
    ]


def _are_numbers(cells: Sequence[str]) -> bool:
    return all(_NUMBER.fullmatch(cell) for cell in cells)


def _leaderboard_figures(metric: str) -> Figures[LeaderboardRow]:
    return {
        "rank": lambda row: str(row.rank),
        "trial": lambda row: str(row.number),
        "kind": lambda row: kind_of_trial(row.kind, row.params) or "search",
        metric: lambda row: score(row.value),
        "mean": lambda row: _mean(row.mean, row.interval),
        "seeds": lambda row: whole(row.n_seeds),
        "ranks": lambda row: _ranks(row.rank_interval),
        "epochs": lambda row: whole(row.epochs),
        "best_epoch": lambda row: whole(row.best_epoch),
        "weights": lambda row: whole(row.n_weights),
        "took": lambda row: duration(row.duration_s),
        "device_time": lambda row: duration(row.device_seconds),
        "stopped": lambda row: row.stop_reason or "-",
        "id": lambda row: row.trial_id,
    }


def _trial_figures(metric: str) -> Figures[Trial]:
    return {
        "trial": lambda trial: str(trial.number),
        "kind": lambda trial: kind_of_trial(trial.kind, trial.params) or "search",
        "state": lambda trial: trial.state.lower() + (f" ({trial.cause})" if trial.cause else ""),
        metric: lambda trial: score(trial.value),
        "epochs": lambda trial: whole(trial.epochs),
        "best_epoch": lambda trial: whole(trial.best_epoch),
        "attempt": lambda trial: str(trial.attempt),
        "weights": lambda trial: whole(trial.n_weights),
        "took": lambda trial: duration(trial.duration_s),
        "device_time": lambda trial: duration(trial.device_seconds),
        "stopped": lambda trial: trial.stop_reason or "-",
        "id": lambda trial: trial.trial_id,
    }


def _chosen(items: Sequence[Row], known: Figures[Row], wanted: str) -> list[Column]:
    def of_metric(name: str) -> Callable[[Row], str]:
        return lambda item: score(item.metrics.get(name))

    figures: dict[str, Callable[[Row], str]] = {name: of_metric(name) for item in items for name in item.metrics}
    figures |= known
    params: dict[str, Column] = {
        column.title: column for column in _parameter_columns([item.params for item in items], None)
    }
    columns: list[Column] = []
    titles = [*figures, *params]
    for name in filter(None, (part.strip() for part in wanted.split(","))):
        if name in params:
            columns.append(params[name])
        elif name in figures:
            cells = [figures[name](item) for item in items]
            columns.append(Column(name, cells, is_number=_are_numbers(cells)))
        else:
            raise _unknown(name, titles)
    if not columns:
        raise _unknown(wanted, titles)
    return columns


def _unknown(name: str, known: Sequence[str]) -> InvalidInputError:
    meant = nearest(name, known)
    hint = f"did you mean {meant!r}? " if meant else ""
    msg = f"there is no column {name!r}; {hint}known here are {', '.join(dict.fromkeys(known))}"
    return InvalidInputError(msg, code="columns.unknown")


def _mean(mean: float | None, interval: tuple[float, float] | None) -> str:
    if mean is None:
        return "-"
    return score(mean) + (f" ({score(interval[0])} to {score(interval[1])})" if interval else "")


def _ranks(interval: tuple[int, int] | None) -> str:
    if interval is None:
        return "-"
    low, high = interval
    return str(low) if low == high else f"{low}-{high}"
