"""The page of one study: its board, charts, downloads, and the stream that keeps it live."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service, Shared
from api.event_streams import query
from api.exports import Format, export_response
from api.request_parameters import StudyId
from api.responses import file_response
from api.web.formatting import scalar
from api.web.json_data import data_response
from api.web.live_fragments import live_stream
from api.web.page_routes import PageRoutes
from api.web.pages import study_words
from api.web.pages.study_actions import labels_text
from api.web.pages.study_board import KINDS, PAGE_ROWS, STATES, Choice, Chosen, board
from api.web.pages.study_curves import Curves, curves_of
from api.web.pages.study_final import final_sentences
from api.web.pages.study_points import fields_of
from api.web.rendering import Rights, page, rendered, text_of
from hpsearch.domain.parameters import FloatParameter, IntParameter
from hpsearch.lru_cache import LruCache
from hpsearch.service.context import Context
from hpsearch.service.results import charts, models
from hpsearch.service.results import trials as results
from hpsearch.service.studies import crud, study_snapshot
from hpsearch.service.studies.study_snapshot import Glimpse
from hpsearch.studyfile.writer import as_yaml, shortest
from hpsearch.wire.pages import StudyView
from hpsearch.wording.trials import kind_of_trial

routes = PageRoutes("page")

# As many as a screen can tell apart.
_HISTORY_POINTS: Final = 1000
_POINTS: Final = 500
_TIMELINE_TRIALS: Final = 300
_NOBODY: Final = Rights(None)
_rankings: LruCache[tuple[str, Choice], str] = LruCache(64)
_MAX_CURVES: Final = 12


@routes.get("/ui/studies/{study_id}", scope="read")
def study_page(study_id: StudyId, request: Request, ctx: Service, choice: Chosen) -> Response:
    """Show a study."""
    seen = study_snapshot.glimpse(ctx, study_id)
    return page(
        request,
        "study.html",
        section="studies",
        **_head(seen),
        parameters=_parameters(seen.study),
        board=board(ctx, seen.study, choice),
        choice=choice,
        page_rows=PAGE_ROWS,
        states=STATES,
        kinds=KINDS,
        definition=as_yaml(shortest(seen.study.definition)),
        fields=fields_of(seen.study, results.best_params(ctx, study_id)),
        example=_example(seen.study),
        labels_text=labels_text(seen.study.labels),
    )


def _example(study: StudyView) -> str:
    """Return an example of a filter that fits the study."""
    for name, parameter in study.definition.space.searched().items():
        if isinstance(parameter, IntParameter | FloatParameter):
            return f"{name} >= {scalar(parameter.low, 2)}"
    return f"{study.resolved.metric} >= 0.5"


def _head(seen: Glimpse) -> dict[str, Any]:
    study = seen.study
    return {
        "seen": seen,
        "study": study,
        "doing": study_words.doing(seen),
        "sentences": final_sentences(study),
        "verdict": None if study.final else study_words.verdict(study),
        "best_kind": "" if study.best is None else kind_of_trial(study.best.kind, study.best.params),
    }


def _parameters(study: StudyView) -> list[str]:
    """Return the parameters that are searched, in the order of the definition."""
    return list(study.definition.space.searched())


@routes.get("/ui/studies/{study_id}/board", scope="read")
def study_board(study_id: StudyId, request: Request, ctx: Service, choice: Chosen) -> Response:
    """Show a page of the board."""
    return _part(request, ctx, study_id, choice)


def _part(request: Request, ctx: Context, study_id: str, choice: Choice) -> Response:
    if not choice.is_ranking:
        return page(request, "study/board.html", **_board(ctx, study_id, choice))
    # The ranking is what most look at, and all at the same moment: when it has changed. The mark is taken first, so
    # that a change in between makes the next request render again, never miss.
    key = (results.leaderboard_etag(ctx, study_id), choice)
    text = _rankings.get(key, lambda: text_of("study/board.html", _NOBODY, **_board(ctx, study_id, choice)))
    return rendered(request, text)


def _board(ctx: Context, study_id: str, choice: Choice) -> dict[str, Any]:
    study = crud.get(ctx, study_id)
    return {
        "study": study,
        "parameters": _parameters(study),
        "board": board(ctx, study, choice),
        "choice": choice,
        "page_rows": PAGE_ROWS,
    }


@routes.get("/ui/studies/{study_id}/actions", scope="read")
def study_actions(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Show what can be done with the study in its present state."""
    return page(request, "study/actions.html", study=crud.get(ctx, study_id))


@routes.get("/ui/studies/{study_id}/live", scope="read")
async def study_live(study_id: StudyId, request: Request, state: Shared) -> Response:
    """Send the head of the page whenever it changes; scripts of the page see from it that there are new results."""

    def draw(context: Context) -> str:
        seen = study_snapshot.glimpse(context, study_id)
        return text_of("study/live.html", _NOBODY, **_head(seen))

    await query(state, results.leaderboard_etag, study_id)  # 404 comes before the stream begins
    wait = partial(state.context.signals.wait_for_change, study_id)
    return await live_stream(request, ("study", study_id), draw, wait)


@routes.get("/ui/studies/{study_id}/data/history", scope="read")
def study_history(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Return the history in as many points as a chart can show."""
    mark = results.leaderboard_etag(ctx, study_id)
    return data_response(request, lambda: charts.history(ctx, study_id, max_points=_HISTORY_POINTS), mark)


@routes.get("/ui/studies/{study_id}/data/importances", scope="read")
async def study_importances(study_id: StudyId, request: Request, state: Shared) -> Response:
    """Return the importances of the parameters."""
    return await state.importances_limit.run(_importances, request, state.context, study_id)


def _importances(request: Request, ctx: Context, study_id: str) -> Response:
    return data_response(request, lambda: charts.importances(ctx, study_id), results.leaderboard_etag(ctx, study_id))


@routes.get("/ui/studies/{study_id}/data/parallel", scope="read")
def study_parallel(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Return the points that parallel coordinates, slices and contours are drawn from."""
    mark = results.leaderboard_etag(ctx, study_id)
    return data_response(request, lambda: charts.parallel(ctx, study_id, limit=_POINTS), mark)


@routes.get("/ui/studies/{study_id}/data/timeline", scope="read")
def study_timeline(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Return what the workers did."""
    return data_response(request, lambda: charts.timeline(ctx, study_id, limit=_TIMELINE_TRIALS))


_TrialIds = Annotated[
    str,
    Query(max_length=_MAX_CURVES * 65, pattern=r"^[A-Za-z0-9_-]{1,64}(,[A-Za-z0-9_-]{1,64})*$"),
]


@routes.get("/ui/studies/{study_id}/data/curves", scope="read", response_model=Curves)
def study_curves(study_id: StudyId, request: Request, ctx: Service, trials: _TrialIds) -> Response:
    """Return every metric of every epoch of some trials, by metric."""
    crud.get(ctx, study_id)
    return data_response(request, lambda: curves_of(ctx, trials.split(",")[:_MAX_CURVES]))


@routes.get("/ui/studies/{study_id}/export", scope="read")
def study_export(study_id: StudyId, ctx: Service, form: Annotated[Format, Query(alias="format")] = "csv") -> Response:
    """Download every trial as a row."""
    return export_response(lambda: results.export_rows(ctx, study_id), form, f"study-{study_id}")


@routes.get("/ui/studies/{study_id}/model", scope="read")
def study_model(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Download the best model."""
    return file_response(request, models.of_study(ctx, study_id))
