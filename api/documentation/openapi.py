"""The OpenAPI document: bodies, errors, samples and the token, in a form that generators of clients can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi._compat import ModelField
from fastapi.openapi.utils import get_openapi
from fastapi.params import Body
from pydantic import BaseModel

from api.documentation.samples import code_samples
from api.errors.problem_documents import MEDIA_TYPE, ProblemDocument

_PROBLEM: Final = {"$ref": "#/components/schemas/ProblemDocument"}
# What FastAPI says of each route with an id in its path; here an id that can not be is not found.
_FASTAPIS_OWN: Final = "HTTPValidationError"
_MEANINGS: Final = {
    304: "What `If-None-Match` names is still current; no body.",
    400: "The body is not JSON or not UTF-8.",
    401: "No token in the Authorization header, or one that is not valid; after many wrong ones 429.",
    403: "The token lacks the scope, or the object belongs to another worker.",
    404: "There is nothing of that id.",
    408: "The body arrived too slowly.",
    409: "The request contradicts the present state.",
    413: "The body is larger than allowed.",
    415: "The content type is not the expected one.",
    422: "The content can not be used; `errors` names every field at fault.",
    429: "A limit is reached; wait as long as `Retry-After` says.",
    503: "The database does not answer: repeat the identical request after `Retry-After` seconds.",
    507: "The disk of the server or of its content store is full; nothing was kept. Repeat it once there is room.",
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
* Every request but those to `/healthz`, `/readyz` and this page carries `Authorization: Bearer hps_…`.
* Lists are paged: give `next_page_token` back as `page_token`.
* Creation honours `Idempotency-Key`: the same key and body give the same object, another body is refused.
* An error listed with a route is one of that route. Any route answers 400 to a malformed `Host` header, and any but the
  public ones 422 to query parameters that it does not list.
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


def error_responses(
    extra: Sequence[int], *, scopes: Sequence[str], has_json: bool, has_parameters: bool
) -> dict[int | str, dict[str, Any]]:
    """Return the error answers of a route: its own, and those its kind may give.

    Args:
        extra: The route's own.
        scopes: Of the tokens it takes; those who ask without one, or while the database is away, are refused.
        has_json: Whether it reads a body of JSON.
        has_parameters: Whether it reads query parameters or headers, which may be malformed.
    """
    statuses = set(extra)
    if scopes:
        statuses |= {401, 403, 503}
    if has_json:
        statuses |= {400, 408, 413, 415, 422}
    if has_parameters:
        statuses.add(422)
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
            _complete(made)
        return made

    return document


def _complete(document: dict[str, Any]) -> None:
    """Add what FastAPI does not know of, and put the schemas into words that generators understand."""
    components = document.setdefault("components", {})
    schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    inner = schema.pop("$defs", {})
    schemas = components.setdefault("schemas", {})
    schemas.update({"ProblemDocument": schema} | inner)
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "`hps_…`, made by `hpsearch tokens create`."}
    }
    for name in (_FASTAPIS_OWN, "ValidationError"):
        schemas.pop(name, None)
    for node in _nodes(document):
        _move_default(node)
        _rename_page(node)
    components["schemas"] = {_page_name(name): found for name, found in schemas.items()}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if _FASTAPIS_OWN in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
            operation["x-codeSamples"] = code_samples(method, path, operation)


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a document."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item)


def _move_default(schema: dict[str, Any]) -> None:
    """Describe an object's default in words: client generators refuse it beside anyOf, and drop all that uses it."""
    if "anyOf" in schema and isinstance(schema.get("default"), dict):
        words = ", ".join(f"{name} {value}" for name, value in schema.pop("default").items())
        schema["description"] = f"{schema.get('description', '')} Default: {words}.".strip()


def _rename_page(schema: dict[str, Any]) -> None:
    """Name a page by what is on it, as a class is named."""
    if isinstance(schema.get("$ref"), str):
        prefix, _, name = schema["$ref"].rpartition("/")
        schema["$ref"] = f"{prefix}/{_page_name(name)}"
    if isinstance(schema.get("title"), str):
        schema["title"] = re.sub(r"^Page\[(\w+)\]$", r"\1Page", schema["title"])


def _page_name(name: str) -> str:
    return re.sub(r"^Page_(\w+)_$", r"\1Page", name)
