"""Steering studies and trials: pause, resume, stop, cancel, extend, retry, clone, enqueue."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from api.app_state import Service, Shared
from api.documentation import examples
from api.guard import Authenticated
from api.request_bodies.json_bodies import SMALL_BODY_BYTES, json_body
from api.request_parameters import IdempotencyKey, StudyId, TrialId
from api.responses import json_response
from api.routing import Routes
from hpsearch.domain.trial import Trial
from hpsearch.service.studies import steering
from hpsearch.wire.pages import StudyView, TrialView
from hpsearch.wire.studies import CloneRequest, EnqueueRequest, ExtendRequest, RetryFailedReply

routes = Routes("studies")
trial_routes = Routes("trials")


@routes.post("/v1/studies/{study_id}/pause", scope="submit", response_model=StudyView, errors=(404, 409))
def pause_study(study_id: StudyId, ctx: Service) -> Response:
    """Give out no more trials; running ones go on."""
    return json_response(steering.pause(ctx, study_id))


@routes.post("/v1/studies/{study_id}/resume", scope="submit", response_model=StudyView, errors=(404, 409))
def resume_study(study_id: StudyId, ctx: Service) -> Response:
    """Give out trials of a paused study again."""
    return json_response(steering.resume(ctx, study_id))


@routes.post("/v1/studies/{study_id}/stop", scope="submit", response_model=StudyView, errors=(404, 409))
def stop_study(study_id: StudyId, ctx: Service) -> Response:
    """Give out no more trials, let the running ones finish, then end."""
    return json_response(steering.stop(ctx, study_id))


@routes.post("/v1/studies/{study_id}/cancel", scope="submit", response_model=StudyView, errors=(404, 409))
def cancel_study(study_id: StudyId, ctx: Service) -> Response:
    """End a study now; running trials are told to stop and leave no result."""
    return json_response(steering.cancel(ctx, study_id))


@routes.post(
    "/v1/studies/{study_id}/extend",
    scope="submit",
    response_model=StudyView,
    errors=(404, 409),
    body=ExtendRequest,
    max_body_bytes=SMALL_BODY_BYTES,
    examples=examples.EXTEND,
)
def extend_study(
    study_id: StudyId, ctx: Service, body: Annotated[ExtendRequest, Depends(json_body(ExtendRequest))]
) -> Response:
    """Raise the number of search trials, of a running study or of one that has ended."""
    return json_response(steering.extend(ctx, study_id, body))


@routes.post("/v1/studies/{study_id}/retry-failed", scope="submit", response_model=RetryFailedReply, errors=(404, 409))
def retry_failed_trials(study_id: StudyId, ctx: Service) -> Response:
    """Put every failed trial back into the queue."""
    return json_response(steering.retry_failed(ctx, study_id))


@routes.post(
    "/v1/studies/{study_id}/clone",
    scope="submit",
    response_model=StudyView,
    status=201,
    errors=(404,),
    body=CloneRequest,
    max_body_bytes=SMALL_BODY_BYTES,
    examples=examples.CLONE,
)
async def clone_study(
    study_id: StudyId,
    state: Shared,
    caller: Authenticated,
    body: Annotated[CloneRequest, Depends(json_body(CloneRequest, optional=True))],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Create a study with the same definition, under another name if one is given."""
    view = await state.compute_limit.run(
        steering.clone, state.context, caller, study_id, body, idempotency_key=idempotency_key
    )
    return json_response(view, 201, {"Location": f"/v1/studies/{view.study_id}"})


@trial_routes.post(
    "/v1/studies/{study_id}/trials",
    scope="submit",
    response_model=Trial,
    status=201,
    errors=(404, 409),
    body=EnqueueRequest,
    max_body_bytes=SMALL_BODY_BYTES,
    examples=examples.POINT,
)
def enqueue_trial(
    study_id: StudyId,
    ctx: Service,
    caller: Authenticated,
    body: Annotated[EnqueueRequest, Depends(json_body(EnqueueRequest))],
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a point of the search space to be tried next; it counts as a search trial."""
    trial = steering.enqueue(ctx, caller, study_id, body, idempotency_key=idempotency_key)
    return json_response(trial, 201, {"Location": f"/v1/trials/{trial.trial_id}"})


@trial_routes.post("/v1/trials/{trial_id}/stop", scope="submit", response_model=TrialView, errors=(404, 409))
def stop_trial(trial_id: TrialId, ctx: Service) -> Response:
    """End one trial that waits or runs, without a result."""
    return json_response(steering.stop_trial(ctx, trial_id))


@trial_routes.post("/v1/trials/{trial_id}/retry", scope="submit", response_model=TrialView, errors=(404, 409))
def retry_trial(trial_id: TrialId, ctx: Service) -> Response:
    """Put one failed trial back into the queue."""
    return json_response(steering.retry_trial(ctx, trial_id))
