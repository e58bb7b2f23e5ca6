"""Studies: created, checked, listed, changed, deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from pydantic import ValidationError
from starlette.responses import Response

from api.app_state import Service, Shared
from api.documentation import examples
from api.errors.field_errors import field_errors_of
from api.guard import Authenticated
from api.request_bodies.json_bodies import SMALL_BODY_BYTES, json_body, json_object, read_json
from api.request_parameters import IdempotencyKey, Page, StudyId
from api.responses import json_response, no_content
from api.routing import Routes
from hpsearch.domain.lifecycle import StudyState
from hpsearch.domain.strict import Name, Text
from hpsearch.domain.study import StudyDefinition
from hpsearch.service.context import Context
from hpsearch.service.studies import crud, preview
from hpsearch.wire import pages
from hpsearch.wire.studies import PreviewReply, Problem, StudyPatch, ValidateReply

routes = Routes("studies")

_Definition = Annotated[StudyDefinition, Depends(json_body(StudyDefinition, code="study.invalid"))]
_Raw = Annotated[bytes, Depends(read_json)]


@routes.post(
    "/v1/studies",
    scope="submit",
    response_model=pages.StudyView,
    status=201,
    errors=(404, 409),
    body=StudyDefinition,
    examples=examples.STUDIES,
)
async def create_study(
    state: Shared, caller: Authenticated, body: _Definition, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a study; its baselines and first trials are queued when this answers."""
    view = await state.compute_limit.run(crud.create, state.context, caller, body, idempotency_key=idempotency_key)
    return json_response(view, 201, {"Location": f"/v1/studies/{view.study_id}"})


@routes.post(
    "/v1/studies/validate",
    scope="submit",
    response_model=ValidateReply,
    body=StudyDefinition,
    examples=examples.STUDIES,
)
async def validate_study(state: Shared, raw: _Raw) -> Response:
    """Say whether a definition would be accepted, and every reason why not; nothing is created."""
    return await state.compute_limit.run(_validate, state.context, raw)


def _validate(ctx: Context, raw: bytes) -> Response:
    found = _read(raw)
    if isinstance(found, StudyDefinition):
        return json_response(preview.validate(ctx, found))
    return json_response(ValidateReply(valid=False, errors=found))


@routes.post(
    "/v1/studies/preview", scope="submit", response_model=PreviewReply, body=StudyDefinition, examples=examples.STUDIES
)
async def preview_study(state: Shared, raw: _Raw) -> Response:
    """Show what a definition would do: size of the grid, sample configurations, weights, cost; nothing is created."""
    return await state.compute_limit.run(_preview, state.context, raw)


def _preview(ctx: Context, raw: bytes) -> Response:
    found = _read(raw)
    if isinstance(found, StudyDefinition):
        return json_response(preview.preview(ctx, found))
    return json_response(PreviewReply(valid=False, errors=found))


def _read(raw: bytes) -> StudyDefinition | tuple[Problem, ...]:
    """Return the definition in a JSON text, or everything that is wrong with it."""
    value = json_object(raw)
    try:
        return StudyDefinition.model_validate(value)
    except ValidationError as error:
        found = field_errors_of(error, value, StudyDefinition)
        return tuple(Problem(field=item["field"], message=item["message"]) for item in found)


@routes.get("/v1/studies", scope="read", response_model=pages.Page[pages.StudyView])
def list_studies(
    ctx: Service,
    page: Page,
    state: Annotated[StudyState | None, Query(description="Only studies in this state.")] = None,
    name: Annotated[Name | None, Query(description="Only studies of exactly this name.")] = None,
    label: Annotated[
        Text | None, Query(max_length=300, description="Only studies with this label: `key`, or `key=value`.")
    ] = None,
) -> Response:
    """List studies, newest first."""
    found = crud.listing(
        ctx,
        limit=page.limit,
        page_token=page.page_token,
        state=state and state.value,
        name=name,
        label=label,
    )
    return json_response(found)


@routes.get("/v1/studies/{study_id}", scope="read", response_model=pages.StudyView, errors=(404,))
def get_study(study_id: StudyId, ctx: Service) -> Response:
    """Return a study: definition, state, counts, best trial, budget used."""
    return json_response(crud.get(ctx, study_id))


@routes.patch(
    "/v1/studies/{study_id}",
    scope="submit",
    response_model=pages.StudyView,
    errors=(404,),
    body=StudyPatch,
    max_body_bytes=SMALL_BODY_BYTES,
    examples=examples.PATCH,
)
def update_study(
    study_id: StudyId, ctx: Service, body: Annotated[StudyPatch, Depends(json_body(StudyPatch))]
) -> Response:
    """Change name, priority, notes or labels; what is left out stays."""
    return json_response(crud.patch(ctx, study_id, body))


@routes.delete("/v1/studies/{study_id}", scope="submit", status=204, errors=(404, 409))
def delete_study(study_id: StudyId, ctx: Service) -> Response:
    """Delete an ended study with its trials, measurements and models."""
    crud.delete(ctx, study_id)
    return no_content()
