"""Results of a study: leaderboard, events, history, exports, models."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import AppState, Service, Shared
from api.event_streams import Ends, EventStream, Frames, event_frames, leaderboard_frames, query
from api.exports import Format, export_response
from api.guard import Authenticated
from api.request_parameters import Page, StudyId, TrialId
from api.responses import file_response, is_current, json_response, not_modified, tagged
from api.routing import Routes
from hpsearch.service.context import Caller, Context
from hpsearch.service.results import charts, events, models, trials
from hpsearch.service.studies import study_snapshot
from hpsearch.wire import pages
from hpsearch.wire.charts import Importances, Parallel, Timeline

routes = Routes("results")

_STREAM: Final = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "An endless stream."}
}
_BYTES: Final = {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}
_LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=100, description="The last id received: the stream goes on after it."),
]
_Limit = Annotated[int, Query(ge=1, le=1000, description="Rows at most.")]


@routes.get(
    "/v1/studies/{study_id}/leaderboard",
    scope="read",
    response_model=pages.LeaderboardPage,
    errors=(304, 404, 429),
)
async def get_leaderboard(
    study_id: StudyId, request: Request, state: Shared, caller: Authenticated, page: Page
) -> Response:
    """Return the ranked search and baseline trials, tagged: ask again with `If-None-Match`.

    With `Accept: text/event-stream` this is the stream of `/leaderboard/stream`.
    """
    if "text/event-stream" in request.headers.get("accept", ""):
        return await _leaderboard_stream(state, caller, study_id, page.limit, None)
    return await run_in_threadpool(_leaderboard, request, state, study_id, page)


def _leaderboard(request: Request, state: AppState, study_id: str, page: Page) -> Response:
    # The tag is taken first: a change in between makes the next request fetch again, never miss.
    etag = f'"{trials.leaderboard_etag(state.context, study_id)}"'
    if is_current(request, etag):
        return not_modified(etag)
    found = trials.leaderboard(state.context, study_id, limit=page.limit, page_token=page.page_token)
    return json_response(found, headers=tagged(etag))


@routes.get("/v1/studies/{study_id}/running", scope="read", response_model=pages.RunningTrials, errors=(404,))
def get_running(
    study_id: StudyId, ctx: Service, limit: Annotated[int, Query(ge=1, le=200, description="Trials at most.")] = 50
) -> Response:
    """Return the trials under way, the earliest first, with the metrics of the last epoch each has reported."""
    return json_response(study_snapshot.running(ctx, study_id, limit=limit))


@routes.get("/v1/studies/{study_id}/leaderboard/stream", scope="read", errors=(404, 429), responses=_STREAM)
async def stream_leaderboard(
    study_id: StudyId, state: Shared, caller: Authenticated, limit: _Limit = 50, last_event_id: _LastEventId = None
) -> Response:
    """Send the top of the leaderboard now and whenever it changes: event `leaderboard`, data the page."""
    return await _leaderboard_stream(state, caller, study_id, limit, last_event_id)


async def _leaderboard_stream(state: AppState, caller: Caller, study_id: str, limit: int, seen: str | None) -> Response:
    await query(state, trials.leaderboard_etag, study_id)  # 404 comes before the stream begins

    def frames(ends: Ends) -> Frames:
        return leaderboard_frames(state, study_id, limit, seen, ends)

    return EventStream(state, caller, frames)


@routes.get("/v1/studies/{study_id}/events", scope="read", errors=(404, 429), responses=_STREAM)
async def stream_events(
    study_id: StudyId,
    state: Shared,
    caller: Authenticated,
    last_event_id: _LastEventId = None,
    after: Annotated[
        str | None,
        Query(max_length=100, description="As `Last-Event-ID`, or `latest` to begin with what happens from now on."),
    ] = None,
) -> Response:
    """Send everything that happened in a study and then what happens.

    Each event has an `id`, its kind as `event` and itself as `data`. Without `Last-Event-ID` it begins at the
    beginning.
    """
    position = last_event_id or after
    if position == "latest":
        position = str(await query(state, events.latest_id, study_id))
    await query(state, events.since, study_id, after=position, limit=1)  # 404 and 422 come before the stream begins

    def frames(ends: Ends) -> Frames:
        return event_frames(state, study_id, position, ends)

    return EventStream(state, caller, frames)


@routes.get(
    "/v1/studies/{study_id}/history", scope="read", response_model=pages.Page[pages.HistoryPoint], errors=(304, 404)
)
def get_history(
    study_id: StudyId,
    request: Request,
    ctx: Service,
    page: Page,
    improvements: Annotated[bool, Query(description="Only results that beat all before them.")] = False,  # noqa: FBT002
    max_points: Annotated[
        int | None,
        Query(
            ge=10,
            le=10_000,
            description="Instead of pages, the whole history in at most so many points: improvements, and an even draw "
            "of the other results.",
        ),
    ] = None,
) -> Response:
    """Return every ranked result in order of its end, each with the best value until then.

    The answer is tagged: ask again with `If-None-Match`.
    """

    def make() -> Response:
        found = charts.history(
            ctx,
            study_id,
            improvements=improvements,
            max_points=max_points,
            limit=page.limit,
            page_token=page.page_token,
        )
        return json_response(found, headers=tagged(etag))

    etag = f'"{trials.leaderboard_etag(ctx, study_id)}"'
    return not_modified(etag) if is_current(request, etag) else make()


@routes.get("/v1/studies/{study_id}/importances", scope="read", response_model=Importances, errors=(304, 404, 503))
async def get_importances(study_id: StudyId, request: Request, state: Shared) -> Response:
    """Return how much each searched parameter decided whether a result was among the best (PED-ANOVA).

    With fewer than ten results there are no items, and `reason` says why. Computed once for each number of results.
    """
    return await state.importances_limit.run(_importances, request, state.context, study_id)


def _importances(request: Request, ctx: Context, study_id: str) -> Response:
    etag = f'"{trials.leaderboard_etag(ctx, study_id)}"'
    if is_current(request, etag):
        return not_modified(etag)
    return json_response(charts.importances(ctx, study_id), headers=tagged(etag))


@routes.get("/v1/studies/{study_id}/parallel", scope="read", response_model=Parallel, errors=(304, 404))
def get_parallel(
    study_id: StudyId,
    request: Request,
    ctx: Service,
    limit: Annotated[int, Query(ge=10, le=5000, description="Rows at most.")] = 1000,
) -> Response:
    """Return ranked results as columns and rows, for parallel coordinates, slices and contours.

    When there are more than `limit`, a quarter are the best ones and the others an even draw over all ranks; `sample`
    says so.
    """
    etag = f'"{trials.leaderboard_etag(ctx, study_id)}"'
    if is_current(request, etag):
        return not_modified(etag)
    return json_response(charts.parallel(ctx, study_id, limit=limit), headers=tagged(etag))


@routes.get("/v1/studies/{study_id}/timeline", scope="read", response_model=Timeline, errors=(404,))
def get_timeline(
    study_id: StudyId,
    ctx: Service,
    limit: Annotated[int, Query(ge=1, le=5000, description="Trials at most, the newest ones.")] = 500,
) -> Response:
    """Return what the workers did: every attempt of the newest trials, oldest first."""
    return json_response(charts.timeline(ctx, study_id, limit=limit))


@routes.get(
    "/v1/studies/{study_id}/export",
    scope="read",
    errors=(404,),
    responses={
        200: {
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/jsonl": {"schema": {"type": "string"}},
                "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
            }
        }
    },
)
def export_study(
    study_id: StudyId, ctx: Service, form: Annotated[Format, Query(alias="format", description="Of the file.")] = "csv"
) -> Response:
    """Download every trial as a row: facts, `param.…`, `metric.…`."""
    return export_response(lambda: trials.export_rows(ctx, study_id), form, f"study-{study_id}")


@routes.get("/v1/studies/{study_id}/model", scope="read", errors=(304, 404, 409), responses=_BYTES)
def download_model(study_id: StudyId, ctx: Service, request: Request) -> Response:
    """Download the best model, a `.keras` file, with its SHA-256 in `Content-Digest` and `X-Content-SHA256`."""
    return file_response(request, models.of_study(ctx, study_id))


@routes.get("/v1/trials/{trial_id}/model", scope="read", errors=(304, 404, 409), responses=_BYTES)
def download_trial_model(trial_id: TrialId, ctx: Service, request: Request) -> Response:
    """Download the model of one trial, as long as it is among those kept."""
    return file_response(request, models.of_trial(ctx, trial_id))
