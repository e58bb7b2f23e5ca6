"""Trials side by side: what they differ in, how they did, and their curves; at an address that can be shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service
from api.request_parameters import StudyId
from api.web.formatting import count, duration, scalar
from api.web.page_routes import PageRoutes
from api.web.rendering import page
from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.metrics import KNOWN_METRICS
from hpsearch.domain.objective import Objective
from hpsearch.service.results import board as boards
from hpsearch.service.results.board import Standing
from hpsearch.service.studies import crud
from hpsearch.wire.pages import StudyView
from hpsearch.wording.figures import figure
from hpsearch.wording.trials import kind_of_trial

MAX_COMPARED: Final = 12

routes = PageRoutes("page")

_Numbers = Annotated[
    str, Query(pattern=r"^[0-9]{1,12}(,[0-9]{1,12}){0,11}$", description="Numbers of trials, separated by commas.")
]


@dataclass(frozen=True)
class Line:
    """One line of the comparison.

    Attributes:
        label: What is compared.
        cells: What each trial has, in their order.
        differs: Whether it is not the same for all.
        best: Which of the cells are the best; none where nothing is better.
    """

    label: str
    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()

    @property
    def differs(self) -> bool:
        """Whether it is not the same for all."""
        return len(set(self.cells)) > 1


@routes.get("/ui/studies/{study_id}/compare", scope="read")
def compare_page(study_id: StudyId, request: Request, ctx: Service, trials: _Numbers) -> Response:
    """Show some trials of a study side by side, in the order of the address."""
    study = crud.get(ctx, study_id)
    numbers = list(dict.fromkeys(map(int, trials.split(","))))[:MAX_COMPARED]
    found = boards.standings(ctx, study_id, numbers)
    return page(
        request,
        "compare.html",
        section="studies",
        study=study,
        trials=found,
        kinds=[kind_of_trial(one.trial.kind.value, one.trial.params) for one in found],
        missing=[number for number in numbers if number not in {one.trial.number for one in found}],
        parameters=_parameters(found),
        scores=_scores(study, found),
        effort=_effort(found),
    )


def _parameters(trials: Sequence[Standing]) -> list[Line]:
    names = dict.fromkeys(name for one in trials for name in one.trial.params)
    return [Line(name, tuple(scalar(one.trial.params.get(name)) for one in trials)) for name in names]


def _scores(study: StudyView, trials: Sequence[Standing]) -> list[Line]:
    objective, shown = study.resolved.metric, (TrialKind.SEARCH, TrialKind.BASELINE, TrialKind.CONFIRMATION)
    names = dict.fromkeys(
        [objective, *(name for one in trials if one.trial.kind in shown for name in one.trial.metrics)]
    )
    lines = [Line("rank", tuple(count(one.rank) for one in trials))]
    if any(one.mean is not None for one in trials):
        lines.append(_line(f"{objective}, mean over seeds", objective, [one.mean for one in trials]))
    for name in names:
        values = [one.trial.metrics.get(name) if one.trial.kind in shown else None for one in trials]
        lines.append(_line(_label(name), name, values))
    if any(one.trial.kind is TrialKind.REFIT for one in trials):
        values = [one.trial.value if one.trial.kind is TrialKind.REFIT else None for one in trials]
        lines.append(_line(f"{objective}, test", objective, values))
    return lines


def _label(metric: str) -> str:
    plain = metric.removeprefix("train_")
    if plain not in KNOWN_METRICS:
        return f"{plain} at the best epoch"
    return f"{plain}, {'validation' if metric == plain else 'training'}"


def _line(label: str, metric: str, values: Sequence[float | None]) -> Line:
    cells = tuple(figure(value) for value in values)
    known = [value for value in values if value is not None]
    name = metric.removeprefix("train_")
    if name not in KNOWN_METRICS or len(set(known)) <= 1:
        return Line(label.replace("_", " "), cells)
    top = Objective(metric=name).best(known)
    return Line(label.replace("_", " "), cells, frozenset(i for i, value in enumerate(values) if value == top))


def _effort(trials: Sequence[Standing]) -> list[Line]:
    def line(label: str, shown: Callable[[Any], str], name: str) -> Line:
        return Line(label, tuple(shown(getattr(one.trial, name)) for one in trials))

    return [
        line("epochs", count, "epochs"),
        line("best epoch", count, "best_epoch"),
        line("weights", count, "n_weights"),
        line("device time", duration, "device_seconds"),
        line("seed", str, "seed"),
    ]
