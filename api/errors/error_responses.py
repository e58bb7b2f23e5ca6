"""Exception handlers: from an exception to its problem document; the only place with HTTP statuses of core errors."""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.errors.field_errors import field_errors, summary
from api.errors.problem_documents import ProblemError, problem
from api.request_scope import request_id_of
from hpsearch.errors import (
    ConflictError,
    ForbiddenError,
    HpsearchError,
    InvalidInputError,
    LimitError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)

# Errors of a class with another status: their class is lost on the way from the process that reads data files.
_STATUS_OF_CODE: Final = {"dataset.too_large": 413, "content.too_large": 413}
_STATUS: Final[tuple[tuple[type[HpsearchError], int], ...]] = (
    (InvalidInputError, 422),
    (NotFoundError, 404),
    (ConflictError, 409),
    (UnauthenticatedError, 401),
    (ForbiddenError, 403),
    (LimitError, 429),
    (UnavailableError, 503),
)
# One body for every reason: a client must not learn which part of a token is wrong.
_UNAUTHENTICATED: Final = (
    "a valid bearer token is needed: send the header Authorization: Bearer hps_… (hpsearch tokens create makes one)"
)
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_NO_ROOM: Final = "the server's disk takes no more data; repeat the request once there is room"
_HTTP_CODES: Final = {
    404: "route.not_found",
    405: "method.not_allowed",
    413: "body.too_large",
    400: "request.malformed",
}


def status_of(error: HpsearchError) -> int:
    """Return the HTTP status of an error of the core; 500 for one that should never reach a client."""
    by_class = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return _STATUS_OF_CODE.get(error.code, by_class)


def as_problem(error: HpsearchError) -> ProblemError:
    """Return the problem of an error of the core, with the headers its status asks for."""
    status = status_of(error)
    headers: dict[str, str] = {}
    detail = error.message
    if isinstance(error, UnauthenticatedError):
        return ProblemError(401, "auth.required", _UNAUTHENTICATED, headers={"WWW-Authenticate": "Bearer"})
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    elif status == 429:  # noqa: PLR2004 - Too Many Requests
        headers["Retry-After"] = str(error.details.get("retry_after_s", 5))
    return ProblemError(status, error.code, detail, headers=headers, extra=error.details)


def _on_problem(request: Request, error: Exception) -> Response:
    return problem(cast("ProblemError", error), request_id_of(request.scope))


def _on_core(request: Request, error: Exception) -> Response:
    found = as_problem(cast("HpsearchError", error))
    if found.status == 500:  # noqa: PLR2004 - the failsafe logs it and hides its text
        raise error
    return problem(found, request_id_of(request.scope))


def _on_http(request: Request, error: Exception) -> Response:
    raised = cast("HTTPException", error)
    code = _HTTP_CODES.get(raised.status_code, "request.refused")
    headers = dict(raised.headers or {})
    detail = str(raised.detail)
    if raised.status_code == 404:  # noqa: PLR2004 - Not Found
        detail = "there is nothing at this address; /docs lists what there is"
    elif raised.status_code == 405:  # noqa: PLR2004 - Method Not Allowed
        allowed = ", ".join(sorted(_allowed(request)))
        headers["Allow"] = allowed
        detail = f"{request.method[:20]} is not possible here; possible are {allowed}"
    return problem(ProblemError(raised.status_code, code, detail, headers=headers), request_id_of(request.scope))


def _allowed(request: Request) -> Iterator[str]:
    for route in request.app.routes:
        if getattr(route, "methods", None) and route.path_regex.match(request.scope["path"]):
            yield from route.methods


def _on_parameters(request: Request, error: Exception) -> Response:
    """Answer for path, query and header parameters; bodies are checked by `api.request_bodies.json_bodies`."""
    errors: list[dict[str, Any]] = list(cast("RequestValidationError", error).errors())
    if all(item["loc"][0] == "path" for item in errors):
        found = ProblemError(404, "not_found", "there is nothing of that id")
        return problem(found, request_id_of(request.scope))
    made: list[dict[str, str]] = []
    for item in errors:
        name = ".".join(map(str, item["loc"][1:]))
        flat = {**item, "loc": (name,)}
        made += field_errors([flat], {name: item.get("input")})
    return problem(ProblemError(422, "parameter.invalid", summary(made), errors=made), request_id_of(request.scope))


def _on_disk(request: Request, error: Exception) -> Response:
    if cast("OSError", error).errno not in _DISK_FULL:
        raise error
    found = ProblemError(507, "server.disk_full", _NO_ROOM, headers={"Retry-After": "30"})
    return problem(found, request_id_of(request.scope))


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HpsearchError, _on_core)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(OSError, _on_disk)
    app.add_exception_handler(RequestValidationError, _on_parameters)
