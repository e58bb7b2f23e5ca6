"""A study as one file: its definition, results, charts, data and environment, to be kept, sent or printed."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service
from api.request_parameters import StudyId
from api.web import svg
from api.web.page_routes import PageRoutes
from api.web.pages import study_words
from api.web.pages.study_curves import curves_of
from api.web.pages.study_final import evaluation_of, final_sentences
from api.web.rendering import page
from hpsearch import __version__
from hpsearch.errors import HpsearchError
from hpsearch.service import datasets
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers
from hpsearch.service.results import board as boards
from hpsearch.service.results import charts
from hpsearch.service.results.board import BoardView
from hpsearch.service.studies import study_snapshot
from hpsearch.studyfile.writer import as_yaml, shortest
from hpsearch.wire.charts import ChartColumn, Importances, Parallel
from hpsearch.wire.pages import HistoryPoint, StudyView
from hpsearch.wire.workers import WorkerView

_ROWS: Final = 20
_HISTORY_POINTS: Final = 1000
_POINTS: Final = 500
_SLICES: Final = 2
_TIMELINE_TRIALS: Final = 300
_MAX_WORKERS: Final = 20

routes = PageRoutes("page")


@routes.get("/ui/studies/{study_id}/report", scope="read")
def study_report(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Download a report of the study: one file that needs nothing else."""
    seen = study_snapshot.glimpse(ctx, study_id)
    study = seen.study
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", study.name).strip(".-")[:80] or "study"
    return page(
        request,
        "report.html",
        headers={"Content-Disposition": f'attachment; filename="{safe}-report.html"'},
        study=study,
        sentences=final_sentences(study),
        doing=study_words.doing(seen),
        made_at=datetime.now(UTC),
        definition=as_yaml(shortest(study.definition)),
        parameters=list(study.definition.space.searched()),
        board=boards.board(ctx, study_id, BoardView(), limit=_ROWS),
        drawings=_drawings(ctx, study),
        profile=datasets.profile(ctx, study.resolved.dataset_id),
        dataset=datasets.get(ctx, study.resolved.dataset_id),
        workers=_workers(ctx, study_id),
        environment=_environment(ctx),
        **evaluation_of(ctx, study_id),
    )


def _environment(ctx: Context) -> dict[str, str]:
    return {
        "hpsearch": __version__,
        "Python of the server": platform.python_version(),
        "System of the server": f"{platform.system()} {platform.machine()}",
        "Database": ctx.store.product,
    }


def _workers(ctx: Context, study_id: str) -> list[WorkerView]:
    """Return the workers that trained the newest trials."""
    ids = dict.fromkeys(item.worker_id for item in charts.timeline(ctx, study_id, limit=_TIMELINE_TRIALS).items)
    return [workers.get(ctx, one) for one in list(ids)[:_MAX_WORKERS]]


def _drawings(ctx: Context, study: StudyView) -> list[tuple[str, Markup]]:
    """Return charts with their titles; none before the first results."""
    history = charts.history(ctx, study.study_id, max_points=_HISTORY_POINTS).items
    if not history:
        return []
    metric = study.resolved.metric.replace("_", " ")
    made = [
        ("Best so far", _history(history, metric)),
        ("Distribution of values (EDF)", _distribution(history, metric)),
    ]
    try:
        importances = charts.importances(ctx, study.study_id)
    except HpsearchError:  # they take a process of their own, and a report does without
        importances = Importances(n_results=len(history), reason="not computed")
    if importances.items:
        shares = [(one.name, one.share) for one in importances.items]
        made.append(("Importance of the parameters", svg.bars(shares, title="Importance of the parameters")))
    points = charts.parallel(ctx, study.study_id, limit=_POINTS)
    frequent = [one.name for one in importances.items if 2 * one.n_results >= importances.n_used]
    names = frequent or [column.name for column in points.columns]
    made += [(f"{metric} by {name}", _slice(points, name, metric)) for name in names[:_SLICES]]
    top = [one.trial for one in boards.board(ctx, study.study_id, BoardView(), limit=5).items]
    curves = _curves(ctx, {one.trial_id: one.number for one in top}, study.resolved.metric)
    return [*made, ("Learning curves of the first trials", curves)] if curves is not None else made


def _history(points: Sequence[HistoryPoint], metric: str) -> Markup:
    each = [(float(point.n_results), point.value) for point in points]
    best = [(float(point.n_results), point.best) for point in points if point.best is not None]
    return svg.chart(
        [svg.Series("dots", each, 7, "each result"), svg.Series("step", best, 1, "best so far")],
        svg.Axis("results"),
        svg.Axis(metric),
        title=f"Best {metric} by number of results",
    )


def _distribution(points: Sequence[HistoryPoint], metric: str) -> Markup:
    values = sorted(point.value for point in points)
    steps = [(value, 100 * (i + 1) / len(values)) for i, value in enumerate(values)]
    return svg.chart(
        [svg.Series("step", [(values[0], 0.0), *steps])],
        svg.Axis(metric),
        svg.Axis("% of the results", 0.0, 100.0),
        title=f"Share of the results with at most a value of {metric}",
    )


def _slice(points: Parallel, name: str, metric: str) -> Markup:
    place = next(i for i, column in enumerate(points.columns) if column.name == name)
    column = points.columns[place]
    rows = [row for row in points.rows if row.kind == "search" and row.values[place] is not None]
    found = [(_place(column, row.values[place]), row.value) for row in rows]
    axis = svg.Axis(name, column.low, column.high, column.log, tuple(map(str, column.choices or ())))
    return svg.chart([svg.Series("dots", found)], axis, svg.Axis(metric), title=f"{metric} by {name}")


def _place(column: ChartColumn, value: Any) -> float:
    return float(value) if column.choices is None else float(column.choices.index(value))


def _curves(ctx: Context, trials: dict[str, int], metric: str) -> Markup | None:
    found = [one for one in curves_of(ctx, list(trials)).items if one.metric == metric]
    series = [
        svg.Series(
            "line",
            [(float(epoch), value) for epoch, value in zip(one.epochs, one.values, strict=True) if value is not None],
            i % 8 + 1,
            f"trial {trials[one.trial_id]}",
        )
        for i, one in enumerate(found)
    ]
    if not any(one.points for one in series):
        return None
    words = metric.replace("_", " ")
    return svg.chart(series, svg.Axis("epoch"), svg.Axis(words), title=f"{words} by epoch")
