"""The fleet: registered, listed, drained."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from api.app_state import Service
from api.documentation import examples
from api.guard import Authenticated
from api.request_bodies.json_bodies import SMALL_BODY_BYTES, json_body
from api.request_parameters import Page, WorkerId
from api.responses import json_response
from api.routing import Routes
from hpsearch.service.fleet import workers
from hpsearch.wire import pages
from hpsearch.wire.workers import RegisterReply, RegisterRequest, WorkerView

routes = Routes("workers")


@routes.post(
    "/v1/workers",
    scope="worker",
    response_model=RegisterReply,
    status=201,
    body=RegisterRequest,
    max_body_bytes=SMALL_BODY_BYTES,
    examples=examples.REGISTER,
)
def register_worker(
    ctx: Service, caller: Authenticated, body: Annotated[RegisterRequest, Depends(json_body(RegisterRequest))]
) -> Response:
    """Register a worker process; each start is a new worker. The answer gives the rhythm to keep."""
    made = workers.register(ctx, caller, body)
    return json_response(made, 201, {"Location": f"/v1/workers/{made.worker_id}"})


@routes.get("/v1/workers", scope="read", response_model=pages.Page[WorkerView])
def list_workers(ctx: Service, page: Page) -> Response:
    """List the fleet, newest first."""
    return json_response(workers.listing(ctx, limit=page.limit, page_token=page.page_token))


@routes.get("/v1/workers/{worker_id}", scope="read", response_model=WorkerView, errors=(404,))
def get_worker(worker_id: WorkerId, ctx: Service) -> Response:
    """Return a worker."""
    return json_response(workers.get(ctx, worker_id))


@routes.post("/v1/workers/{worker_id}/drain", scope="admin", response_model=WorkerView, errors=(404,))
def drain_worker(worker_id: WorkerId, ctx: Service) -> Response:
    """Let a worker finish what it holds and give it nothing more."""
    return json_response(workers.drain(ctx, worker_id))


@routes.post("/v1/workers/{worker_id}/enable", scope="admin", response_model=WorkerView, errors=(404,))
def enable_worker(worker_id: WorkerId, ctx: Service) -> Response:
    """Give a worker trials again, quarantined or not."""
    return json_response(workers.enable(ctx, worker_id))


@routes.post("/v1/workers/{worker_id}/disable", scope="admin", response_model=WorkerView, errors=(404,))
def disable_worker(worker_id: WorkerId, ctx: Service) -> Response:
    """Give a worker nothing more until it is enabled."""
    return json_response(workers.disable(ctx, worker_id))
