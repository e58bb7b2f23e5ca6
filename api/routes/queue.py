"""Routes of workers: claim trials (long polling), report (which is the heartbeat), upload models."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import Depends, Query
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import AppState, Shared
from api.documentation import examples
from api.guard import Authenticated
from api.request_bodies.json_bodies import SMALL_BODY_BYTES, json_body
from api.request_bodies.uploads import expected_digest, receive_file
from api.request_parameters import TrialId, WorkerId
from api.responses import json_response
from api.routing import Routes
from api.streaming.async_waits import departure, drop, first_of, started
from hpsearch.domain.strict import MAX_INT
from hpsearch.errors import (
    ForbiddenError,
    HpsearchError,
    InvalidInputError,
    NotFoundError,
    ResultConflictError,
    StaleAttemptError,
)
from hpsearch.service.context import Caller
from hpsearch.service.queue import claims, reports
from hpsearch.service.results import models
from hpsearch.wire.claims import ClaimReply, ClaimRequest
from hpsearch.wire.reports import ReportReply, ReportRequest, ReportResult

# The epochs that a worker sends at once after an outage, with as many tracebacks as fit: it sends one trial's report
# after the other when all together are refused.
_MAX_REPORT_BYTES: Final = 4 * 2**20
_MAX_MODEL_BYTES: Final = 2**30
# Trials another server process made are found by polling; ours wake the waiting claim at once.
_POLL_S: Final = 2.0
# The error a single refused report is answered with, and its code.
_REFUSED: Final[dict[str, tuple[type[HpsearchError], str]]] = {
    "stale_attempt": (StaleAttemptError, "trial.stale_attempt"),
    "result_conflict": (ResultConflictError, "trial.result_conflict"),
    "forbidden": (ForbiddenError, "trial.foreign"),
    "not_found": (NotFoundError, "trial.not_found"),
    "invalid": (InvalidInputError, "report.invalid"),
}

routes = Routes("workers")


class StoredModel(BaseModel):
    """A model file as stored."""

    trial_id: str
    attempt: int
    digest: str
    size_bytes: int


@routes.post(
    "/v1/workers/{worker_id}/reports",
    scope="worker",
    response_model=ReportReply,
    errors=(404, 409, 429),
    body=ReportRequest,
    examples=examples.REPORT,
    max_body_bytes=_MAX_REPORT_BYTES,
)
async def send_reports(
    worker_id: WorkerId,
    state: Shared,
    caller: Authenticated,
    body: Annotated[ReportRequest, Depends(json_body(ReportRequest, inline=True))],
) -> Response:
    """Renew leases, deliver epochs and end trials, for a whole pack at once.

    Several reports are answered with a status each. A single one that is refused is answered with a problem that
    holds the result: 409 when it is stale or in conflict, 403 when the attempt is another worker's. More than 200
    reports on one trial within a second are answered with 429.
    """
    return await state.concurrency_limit.run(_report, state, caller, worker_id, body)


def _report(state: AppState, caller: Caller, worker_id: str, body: ReportRequest) -> Response:
    state.report_rate_limit.check(caller.token_id, {entry.trial_id for entry in body.reports})
    reply = reports.report(state.context, caller, worker_id, body)
    if len(reply.results) == 1 and reply.results[0].status in _REFUSED:
        raise _refused(reply.results[0], reply)
    return json_response(reply)


def _refused(result: ReportResult, reply: ReportReply) -> HpsearchError:
    kind, code = _REFUSED[result.status]
    msg = result.detail or f"the report was not accepted: {result.status}"
    return kind(msg, code=code, details=reply.model_dump())


@routes.post(
    "/v1/workers/{worker_id}/claims",
    scope="worker",
    response_model=ClaimReply,
    errors=(404,),
    body=ClaimRequest,
    max_body_bytes=SMALL_BODY_BYTES,
    examples=examples.CLAIM,
)
async def claim_trials(
    worker_id: WorkerId,
    state: Shared,
    caller: Authenticated,
    request: Request,
    body: Annotated[ClaimRequest, Depends(json_body(ClaimRequest, inline=True))],
) -> Response:
    """Ask for trials; waits up to `wait_s` seconds for work and is empty when there was none.

    Repeating a `claim_id` gives the same trials while their attempts are current.
    """
    reply = await state.concurrency_limit.run(claims.claim, state.context, caller, worker_id, body)
    if not reply.trials and body.wait_s > 0:
        reply = await _wait(state, request, caller, worker_id, body, reply)
    return json_response(reply)


async def _wait(
    state: AppState, request: Request, caller: Caller, worker_id: str, body: ClaimRequest, reply: ClaimReply
) -> ClaimReply:
    """Return the first reply with trials, or the last one when the time is up, the client left or the server stops."""
    loop, empty = asyncio.get_running_loop(), reply
    deadline_s = loop.time() + body.wait_s
    async with departure(request.receive) as gone:

        def is_over() -> bool:
            return gone.is_set() or state.closing.is_set()

        def ask() -> ClaimReply:
            # Checked when it runs: a client that has left must not be given trials, they would wait for their lease to
            # lapse.
            return empty if is_over() else claims.claim(state.context, caller, worker_id, body)

        while not reply.trials and not is_over() and (left_s := deadline_s - loop.time()) > 0:
            work = await started(state.context.signals.wait_for_work(min(left_s, _POLL_S)))
            try:
                reply = await state.concurrency_limit.run(ask)
                if not reply.trials:
                    await first_of(work, gone.wait(), state.closing.wait())
            finally:
                await drop(work)
    return reply


@routes.put(
    "/v1/workers/{worker_id}/trials/{trial_id}/model",
    scope="worker",
    response_model=StoredModel,
    errors=(404, 408, 409, 413, 422, 507),
    max_body_bytes=_MAX_MODEL_BYTES,
    described={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        "parameters": [
            {
                "name": "X-Content-SHA256",
                "in": "header",
                "required": True,
                "description": "SHA-256 of the body in hex; `Content-Digest: sha-256=:base64:` does as well.",
                "schema": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            }
        ],
    },
)
async def upload_model(
    worker_id: WorkerId,
    trial_id: TrialId,
    state: Shared,
    caller: Authenticated,
    request: Request,
    attempt: Annotated[int, Query(ge=1, le=MAX_INT, description="The attempt that made it.")],
) -> Response:
    """Deliver the model file of a running attempt, before its COMPLETE report. It is stored as bytes, never opened."""
    digest = expected_digest(request)
    path = state.context.content.new_temporary()
    try:
        size_bytes = await receive_file(request, path, digest=digest)
        await run_in_threadpool(models.put, state.context, caller, worker_id, trial_id, attempt, path)
    finally:
        await run_in_threadpool(path.unlink, missing_ok=True)
    return json_response(StoredModel(trial_id=trial_id, attempt=attempt, digest=digest, size_bytes=size_bytes))
