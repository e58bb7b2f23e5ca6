"""Reading trials: lists, single ones, every epoch of them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import Query
from starlette.responses import Response

from api.app_state import Service
from api.request_parameters import Page, StudyId, TrialId
from api.responses import json_response
from api.routing import Routes
from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.domain.strict import MAX_INT
from hpsearch.domain.trial import Trial
from hpsearch.service.results import trials
from hpsearch.wire import pages

routes = Routes("trials")

_SORTS: Final = "number|value|epochs|device_seconds|duration_s|n_weights|created_at"


@routes.get("/v1/studies/{study_id}/trials", scope="read", response_model=pages.Page[Trial], errors=(404,))
def list_trials(
    study_id: StudyId,
    ctx: Service,
    page: Page,
    state: Annotated[TrialState | None, Query(description="Only trials in this state.")] = None,
    kind: Annotated[TrialKind | None, Query(description="Only trials of this kind.")] = None,
    sort: Annotated[
        str,
        Query(
            max_length=80,
            pattern=f"^({_SORTS}|param\\.[a-z0-9_]+)$",
            description=f"What to order by: {_SORTS.replace('|', ', ')}, or `param.` and the name of a parameter; "
            "trials without the value come last.",
        ),
    ] = "number",
    order: Annotated[Literal["asc", "desc"], Query(description="Rising or falling.")] = "asc",
) -> Response:
    """List a study's trials."""
    found = trials.trials(
        ctx,
        study_id,
        limit=page.limit,
        page_token=page.page_token,
        state=state and state.value,
        kinds=() if kind is None else (kind.value,),
        sort=sort,
        order=order,
    )
    return json_response(found)


@routes.get("/v1/trials/{trial_id}", scope="read", response_model=pages.TrialView, errors=(404,))
def get_trial(trial_id: TrialId, ctx: Service) -> Response:
    """Return a trial: parameters, state, result, attempts."""
    return json_response(trials.trial(ctx, trial_id))


@routes.get(
    "/v1/trials/{trial_id}/measurements", scope="read", response_model=pages.Page[pages.MeasurementView], errors=(404,)
)
def list_measurements(
    trial_id: TrialId,
    ctx: Service,
    page: Page,
    attempt: Annotated[int | None, Query(ge=1, le=MAX_INT, description="The current attempt when left out.")] = None,
) -> Response:
    """Return every metric of every epoch of one attempt, in order of epochs."""
    found = trials.measurements(ctx, trial_id, attempt=attempt, limit=page.limit, page_token=page.page_token)
    return json_response(found)
