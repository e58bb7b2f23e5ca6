"""Health and figures of the server itself."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service
from api.metrics import CONTENT_TYPE, Metrics
from api.responses import json_response
from api.routing import PUBLIC, Routes
from hpsearch.service.operations import health

routes = Routes("operation")


class Health(BaseModel):
    """The process answers."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether the server can do its work now."""

    ready: bool
    checks: dict[str, bool] = Field(description="`database` answers, `disk` takes writes.")


@routes.get("/healthz", scope=PUBLIC, response_model=Health)
async def get_health() -> Response:
    """Say that the process answers; asks neither the database nor the disk."""
    return json_response(Health())


@routes.get(
    "/readyz", scope=PUBLIC, response_model=Readiness, responses={503: {"description": "Not now.", "model": Readiness}}
)
def get_readiness(ctx: Service) -> Response:
    """Say whether the server can do its work now; it recovers by itself."""
    checks = health.ready(ctx)
    ready = all(checks.values())
    return json_response(
        Readiness(ready=ready, checks=checks), 200 if ready else 503, None if ready else {"Retry-After": "2"}
    )


@routes.get("/metrics", scope="read", responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})
def get_metrics(request: Request) -> Response:
    """Return figures for Prometheus: requests by route, and what is open now."""
    app: FastAPI = request.app
    figures: Metrics = app.state.metrics
    return Response(figures.text(), media_type=CONTENT_TYPE)
