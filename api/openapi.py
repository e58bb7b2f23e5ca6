"""The OpenAPI document: request bodies, error answers and the token, as FastAPI alone would not show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi._compat import ModelField
from fastapi.openapi.utils import get_openapi
from fastapi.params import Body
from pydantic import BaseModel

from api.problems import MEDIA_TYPE, ProblemDocument

_PROBLEM: Final = {"$ref": "#/components/schemas/ProblemDocument"}
_MEANINGS: Final = {
    304: "What `If-None-Match` names is still current; no body.",
    400: "The body is not JSON or not UTF-8, or the Host header is malformed.",
    401: "No token in the Authorization header, or one that is not valid.",
    403: "The token lacks the scope, or the object belongs to another worker.",
    404: "There is nothing of that id.",
    408: "The body arrived too slowly.",
    409: "The request contradicts the present state.",
    413: "The body is larger than allowed.",
    415: "The content type is not the expected one.",
    422: "The content can not be used; `errors` names every field at fault.",
    429: "A limit is reached; wait as long as `Retry-After` says.",
    503: "The database does not answer: repeat the identical request after `Retry-After` seconds.",
}
_EXAMPLE: Final = {
    "type": "urn:hpsearch:problem:study.invalid",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "space.units: low must not exceed high, received low 512 and high 16",
    "code": "study.invalid",
    "errors": [{"field": "space.units", "message": "low must not exceed high, received low 512 and high 16"}],
    "request_id": "5d1f0c6a9f3e2b17",
}

DESCRIPTION: Final = """\
Finds the best multilayer perceptron for a data set. Add data, create a study, let workers claim and train its trials,
read the leaderboard, download the winner.

* JSON in and out, strict: unknown fields, numbers as strings, NaN and keys given twice are refused.
* Errors are `application/problem+json` (RFC 9457) with a stable `code`.
* Every request but those to `/healthz`, `/readyz`, `/metrics` and this page carries `Authorization: Bearer hps_…`.
* Lists are paged: give `next_page_token` back as `page_token`.
* Creation honours `Idempotency-Key`: the same key and body give the same object, another body is refused.
"""

TAGS: Final = [
    {"name": "studies", "description": "What is searched, and steering it."},
    {"name": "trials", "description": "Single configurations and every epoch of them."},
    {"name": "results", "description": "Leaderboards, events, histories, exports and models."},
    {"name": "datasets", "description": "Immutable tables, named by the hash of their content."},
    {"name": "workers", "description": "The fleet: registering, claiming, reporting."},
    {"name": "tokens", "description": "Who may do what."},
    {"name": "operation", "description": "Health and figures of the server."},
]


def body_field(model: type[BaseModel], info: Body) -> ModelField:
    """Return the field that documents a request's body."""
    info.annotation = model
    return ModelField(field_info=info, name="body", mode="validation")


def error_responses(extra: Sequence[int], *, scopes: Sequence[str], has_body: bool) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route: its own, and those that every route of its kind may give."""
    statuses = {*extra, 422}
    if scopes:
        statuses |= {401, 403, 429, 503}
    if has_body:
        statuses |= {400, 408, 413, 415}
    return {status: _documented(status) for status in sorted(statuses)}


def _documented(status: int) -> dict[str, Any]:
    if status == 304:  # noqa: PLR2004 - Not Modified is no error and has no body
        return {"description": _MEANINGS[status]}
    content: dict[str, Any] = {"schema": _PROBLEM}
    if status == _EXAMPLE["status"]:
        content["example"] = _EXAMPLE
    return {"description": _MEANINGS[status], "content": {MEDIA_TYPE: content}}


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Return a function that gives the application's OpenAPI document, made once."""
    made: dict[str, Any] = {}

    def document() -> dict[str, Any]:
        if not made:
            made.update(
                get_openapi(
                    title=app.title,
                    version=app.version,
                    summary=app.summary,
                    description=app.description,
                    routes=app.routes,
                    tags=app.openapi_tags,
                    license_info=app.license_info,
                )
            )
            components = made.setdefault("components", {})
            schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
            inner = schema.pop("$defs", {})
            components.setdefault("schemas", {}).update({"ProblemDocument": schema} | inner)
            components["securitySchemes"] = {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`hps_…`, made by `hpsearch tokens create`.",
                }
            }
        return made

    return document
