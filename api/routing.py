"""Routes: how a route is declared. One without a scope can not be written down."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

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

# For routes that everybody may use; written out, so that leaving the scope away by mistake is an error.
PUBLIC: Final = "public"


@dataclass(frozen=True)
class Declared:
    """One route as its module declares it.

    Attributes:
        method: Of HTTP.
        path: Template from the root.
        endpoint: Makes the answer.
        scopes: Any one is enough; empty for a public route.
        options: Everything else.
    """

    method: str
    path: str
    endpoint: Callable[..., Any]
    scopes: tuple[Scope, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


class Routes:
    """The routes of one resource.

    Args:
        tag: Groups them in the documentation.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.declared: list[Declared] = []

    def add(
        self, method: str, path: str, *, scope: str | Sequence[Scope], **options: Any
    ) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that declares the route.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: Template from the root, such as `/v1/studies/{study_id}`.
            scope: What a token must hold: one scope, several of which any is enough, or `PUBLIC`.
            **options: See `_mount`: `reply`, `status`, `errors`, `body`, `example`, `max_body_bytes`, `described`.
        """
        scopes: tuple[Any, ...] = () if scope == PUBLIC else (scope,) if isinstance(scope, str) else tuple(scope)

        def declare(endpoint: Endpoint) -> Endpoint:
            self.declared.append(Declared(method, path, endpoint, scopes, options))
            return endpoint

        return declare

    def get(self, path: str, *, scope: str | Sequence[Scope], **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a GET route; see `add`."""
        return self.add("GET", path, scope=scope, **options)

    def post(self, path: str, *, scope: str | Sequence[Scope], **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a POST route; see `add`."""
        return self.add("POST", path, scope=scope, **options)

    def put(self, path: str, *, scope: str | Sequence[Scope], **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a PUT route; see `add`."""
        return self.add("PUT", path, scope=scope, **options)

    def patch(self, path: str, *, scope: str | Sequence[Scope], **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a PATCH route; see `add`."""
        return self.add("PATCH", path, scope=scope, **options)

    def delete(self, path: str, *, scope: str | Sequence[Scope], **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a DELETE route; see `add`."""
        return self.add("DELETE", path, scope=scope, **options)


def mount(app: FastAPI, routes: Routes) -> None:
    """Put the declared routes into the application, each behind its guard."""
    for declared in routes.declared:
        _mount(app, routes.tag, declared, **declared.options)


def _mount(  # noqa: PLR0913 - one keyword for each thing a route may say about itself
    app: FastAPI,
    tag: str,
    declared: Declared,
    *,
    reply: type[BaseModel] | None = None,
    status: int = 200,
    errors: Sequence[int] = (),
    body: type[BaseModel] | None = None,
    examples: Mapping[str, Any] | None = None,
    described: Mapping[str, Any] | None = None,
    max_body_bytes: int | None = None,
    responses: Mapping[int, Mapping[str, Any]] | None = None,
    hidden: bool = False,
    guard: type[Guard] = Guard,
) -> None:
    """Add one route.

    Args:
        app: The application.
        tag: Of the resource.
        declared: Method, path, endpoint and scopes.
        reply: Model of the answer, for the documentation; endpoints make the bytes themselves.
        status: Of the answer when all goes well.
        errors: Statuses it may answer beyond those every route may.
        body: Model of the request's body, for the documentation; `api.request_bodies.json_bodies` reads it.
        examples: Of the body, by name.
        described: Further members of the operation in the documentation.
        max_body_bytes: Largest body; None keeps the general cap.
        responses: Further answers in the documentation.
        hidden: Leave it out of the documentation.
        guard: Knows the caller; the web page's reads another header than the API's.
    """
    dependant = get_dependant(path=declared.path, call=declared.endpoint)
    guarding = guard(declared.scopes, max_body_bytes=max_body_bytes)
    guarding.query = frozenset(_names(dependant, "query_params"))
    documented: dict[int | str, dict[str, Any]] = {code: dict(value) for code, value in (responses or {}).items()}
    if reply is not None:
        documented.setdefault(status, {})["model"] = reply
    documented |= error_responses(
        errors,
        scopes=declared.scopes,
        has_json=body is not None,
        has_parameters=bool(guarding.query) or any(_names(dependant, "header_params")),
    )
    extra = dict(described or {})
    if declared.scopes:
        extra["security"] = [{"token": []}]
    route = APIRoute(
        declared.path,
        declared.endpoint,
        methods=[declared.method],
        status_code=status,
        response_model=None,
        response_class=Response,
        responses=documented,
        dependencies=[Depends(guarding)],
        tags=[tag],
        operation_id=declared.endpoint.__name__,
        summary=_summary(declared),
        description=_description(declared),
        openapi_extra=extra or None,
        include_in_schema=not hidden,
    )
    if body is not None:
        # For the documentation alone: the handler was made before and does not know of it.
        route.body_field = body_field(body, Body(openapi_examples=dict(examples or {})))
    app.router.routes.append(route)


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
