"""Routes: how they are declared, each with the scope it needs, and how they are mounted on the application."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypedDict, TypeVar, Unpack

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_dependant
from fastapi.params import Body, Depends
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from api.documentation.openapi import body_field, error_responses
from api.guard import Guard
from hpsearch.wire.tokens import Scope

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

# Scope of routes that need no token; written out, so that leaving the scope away by mistake is an error.
PUBLIC: Final = "public"


class RouteOptions(TypedDict, total=False):
    """What a route may say about itself beyond method, path and scope.

    Attributes:
        response_model: Model of the response, for the documentation; endpoints make the bytes themselves.
        status: Of the response on success; 200 when left out.
        errors: Statuses it may answer beyond those every route may.
        responses: Further responses in the documentation, by status.
        body: Model of the request's body, for the documentation; `api.request_bodies.json_bodies` reads it.
        examples: Of the body, by name.
        max_body_bytes: Largest body; None keeps the general cap.
        described: Further members of the operation in the documentation.
        hidden: Leave it out of the documentation.
        guard: Authenticates the caller; that of the web page reads a cookie instead of a header.
    """

    response_model: type[BaseModel]
    status: int
    errors: Sequence[int]
    responses: Mapping[int, Mapping[str, Any]]
    body: type[BaseModel]
    examples: Mapping[str, Any]
    max_body_bytes: int | None
    described: Mapping[str, Any]
    hidden: bool
    guard: type[Guard]


@dataclass(frozen=True)
class Declared:
    """One route as its module declares it.

    Attributes:
        method: Of HTTP.
        path: Template from the root.
        endpoint: Makes the response.
        scopes: Any one is enough; empty for a public route.
        options: Everything else.
    """

    method: str
    path: str
    endpoint: Callable[..., Any]
    scopes: tuple[Scope, ...]
    options: RouteOptions


class Routes:
    """The routes of one resource.

    Args:
        tag: Groups them in the documentation.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.declared: list[Declared] = []

    def add(
        self, method: str, path: str, *, scope: str | Sequence[Scope], **options: Unpack[RouteOptions]
    ) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that declares the route.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: Template from the root, such as `/v1/studies/{study_id}`.
            scope: What a token must hold: one scope, several of which any is enough, or `PUBLIC`.
            **options: See `RouteOptions`.
        """
        scopes: tuple[Any, ...] = () if scope == PUBLIC else (scope,) if isinstance(scope, str) else tuple(scope)

        def declare(endpoint: Endpoint) -> Endpoint:
            self.declared.append(Declared(method, path, endpoint, scopes, options))
            return endpoint

        return declare

    def get(
        self, path: str, *, scope: str | Sequence[Scope], **options: Unpack[RouteOptions]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a GET route; see `add`."""
        return self.add("GET", path, scope=scope, **options)

    def post(
        self, path: str, *, scope: str | Sequence[Scope], **options: Unpack[RouteOptions]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a POST route; see `add`."""
        return self.add("POST", path, scope=scope, **options)

    def put(
        self, path: str, *, scope: str | Sequence[Scope], **options: Unpack[RouteOptions]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a PUT route; see `add`."""
        return self.add("PUT", path, scope=scope, **options)

    def patch(
        self, path: str, *, scope: str | Sequence[Scope], **options: Unpack[RouteOptions]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a PATCH route; see `add`."""
        return self.add("PATCH", path, scope=scope, **options)

    def delete(
        self, path: str, *, scope: str | Sequence[Scope], **options: Unpack[RouteOptions]
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a DELETE route; see `add`."""
        return self.add("DELETE", path, scope=scope, **options)


def mount(app: FastAPI, routes: Routes) -> None:
    """Put the declared routes into the application, each behind its guard."""
    app.router.routes.extend(_mounted(routes.tag, declared) for declared in routes.declared)


def _mounted(tag: str, declared: Declared) -> APIRoute:
    options = declared.options
    dependant = get_dependant(path=declared.path, call=declared.endpoint)
    guard = options.get("guard", Guard)(declared.scopes, max_body_bytes=options.get("max_body_bytes"))
    guard.query = frozenset(_names(dependant, "query_params"))
    has_parameters = bool(guard.query) or any(_names(dependant, "header_params"))
    security: dict[str, Any] = {"security": [{"token": []}]} if declared.scopes else {}
    route = APIRoute(
        declared.path,
        declared.endpoint,
        methods=[declared.method],
        status_code=options.get("status", 200),
        response_model=None,
        response_class=Response,
        responses=_responses(declared, has_parameters=has_parameters),
        dependencies=[Depends(guard)],
        tags=[tag],
        operation_id=declared.endpoint.__name__,
        summary=_summary(declared),
        description=_description(declared),
        openapi_extra={**options.get("described", {}), **security} or None,
        include_in_schema=not options.get("hidden", False),
    )
    if (body := options.get("body")) is not None:
        # For the documentation alone: the handler was made before and does not read it.
        route.body_field = body_field(body, Body(openapi_examples=dict(options.get("examples", {}))))
    return route


def _responses(declared: Declared, *, has_parameters: bool) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route as FastAPI documents them, by status."""
    options = declared.options
    found: dict[int | str, dict[str, Any]] = {
        status: dict(response) for status, response in options.get("responses", {}).items()
    }
    if (model := options.get("response_model")) is not None:
        found.setdefault(options.get("status", 200), {})["model"] = model
    return found | error_responses(
        options.get("errors", ()),
        scopes=declared.scopes,
        has_json="body" in options,
        has_parameters=has_parameters,
    )


def _names(dependant: Dependant, kind: str) -> Iterator[str]:
    yield from (parameter.alias for parameter in getattr(dependant, kind))
    for inner in dependant.dependencies:
        yield from _names(inner, kind)


def _text(declared: Declared) -> str:
    return (declared.endpoint.__doc__ or "").split("Raises:")[0].split("Args:")[0].strip()


def _summary(declared: Declared) -> str:
    """Return the first sentence, without what follows a colon or semicolon."""
    return re.split(r"(?:[.:;])\s", " ".join(_text(declared).split()) + " ", maxsplit=1)[0] + "."


def _description(declared: Declared) -> str:
    needs = " or ".join(f"`{scope}`" for scope in declared.scopes)
    return f"{_text(declared)}\n\nScope: {needs}." if needs else _text(declared)
