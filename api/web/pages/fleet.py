"""The fleet: workers with what they hold; drained, enabled, disabled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

from fastapi import Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service, Shared
from api.request_parameters import WorkerId
from api.web.forms import MAX_FORM_BYTES
from api.web.live_fragments import live_stream
from api.web.page_routes import PageRoutes
from api.web.rendering import Rights, lead_to, page, rights_of, text_of, wants_part
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers
from hpsearch.service.fleet.overview import fleet_overview
from hpsearch.wire.workers import WorkerView

_LIMIT: Final = 100
_VERBS: Final[dict[str, Callable[[Context, str], WorkerView]]] = {
    "drain": workers.drain,
    "enable": workers.enable,
    "disable": workers.disable,
}

routes = PageRoutes("page")

_Gone = Annotated[bool, Query(description="Also workers that are gone.")]
_Token = Annotated[str | None, Query(max_length=2000, description="Of the page before.")]


@routes.get("/ui/fleet", scope="read")
def fleet_page(request: Request, ctx: Service, gone: _Gone = False, page_token: _Token = None) -> Response:  # noqa: FBT002 - a name in the address
    """Show the workers, newest first."""
    found = fleet_overview(ctx, limit=_LIMIT, page_token=page_token, only_present=not gone)
    return page(request, "fleet.html", section="fleet", fleet=found, gone=gone, page_token=page_token)


@routes.get("/ui/fleet/live", scope="read")
async def fleet_live(request: Request, state: Shared, gone: _Gone = False, page_token: _Token = None) -> Response:  # noqa: FBT002 - a name in the address
    """Stream the fleet whenever something in it changes."""
    rights = rights_of(request)

    def make(ctx: Context) -> str:
        return _part(ctx, rights, gone=gone, page_token=page_token)

    await run_in_threadpool(
        make, state.context
    )  # a page token that can not be used is refused before the stream begins
    return await live_stream(request, ("fleet", gone, page_token, rights.admin), make)


def _part(ctx: Context, rights: Rights, *, gone: bool, page_token: str | None) -> str:
    found = fleet_overview(ctx, limit=_LIMIT, page_token=page_token, only_present=not gone)
    return text_of("parts/fleet.html", rights, fleet=found, gone=gone, page_token=page_token)


@routes.post("/ui/fleet/{worker_id}/{verb}", scope="admin", max_body_bytes=MAX_FORM_BYTES)
def steer_worker_page(
    request: Request, worker_id: WorkerId, verb: Literal["drain", "enable", "disable"], ctx: Service
) -> Response:
    """Let a worker finish and rest, work again, or get nothing more."""
    changed = _VERBS[verb](ctx, worker_id)
    if not wants_part(request):
        return lead_to(request, "/ui/fleet")
    headers = {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
    text = f"Worker {changed.name} is {changed.state.lower()} now."
    return page(request, "parts/notice.html", headers=headers, text=text, kind="good")
