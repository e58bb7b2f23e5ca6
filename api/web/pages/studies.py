"""The list of studies: searched, filtered, paged, alive."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service, Shared
from api.web.live_fragments import live_stream
from api.web.page_routes import PageRoutes
from api.web.rendering import page, rights_of, text_of, wants_part
from api.web.sparkline import sparkline
from hpsearch.domain.lifecycle import StudyState
from hpsearch.service.context import Context
from hpsearch.service.studies.overview import overview
from hpsearch.wording.end_reasons import end_reason

_LIMIT: Final = 50

routes = PageRoutes("page")


@dataclass(frozen=True)
class Wanted:
    """Which studies are wanted; a form's empty fields mean no filter."""

    name: Annotated[str, Query(max_length=200, description="Part of the name.")] = ""
    state: Annotated[str, Query(max_length=20, description="Of the study, or OPEN.")] = ""
    label: Annotated[str, Query(max_length=300, description="key or key=value.")] = ""
    page_token: Annotated[str, Query(max_length=2000, description="Of the page before.")] = ""

    def query(self, **changes: str) -> str:
        """Return the address's query for these filters, changed; with its question mark, empty without any."""
        given = {key: value for key, value in {**asdict(self), **changes}.items() if value}
        return "?" + urlencode(given) if given else ""


Filters = Annotated[Wanted, Depends()]


@routes.get("/ui/studies", scope="read")
def studies_page(request: Request, ctx: Service, wanted: Filters) -> Response:
    """Show the studies, newest first."""
    if wants_part(request):
        headers = {"HX-Replace-Url": "/ui/studies" + wanted.query()}
        return page(request, "parts/studies_live.html", headers=headers, **_values(ctx, wanted))
    return page(request, "studies.html", section="studies", states=list(StudyState), **_values(ctx, wanted))


@routes.get("/ui/studies/live", scope="read")
async def studies_live(request: Request, state: Shared, wanted: Filters) -> Response:
    """Stream the list whenever something in it changes."""
    rights = rights_of(request)

    def make(ctx: Context) -> str:
        return text_of("parts/studies.html", rights, **_values(ctx, wanted))

    await run_in_threadpool(make, state.context)  # filters that can not be used are refused before the stream begins
    return await live_stream(request, ("studies", wanted, rights.submit), make)


def _values(ctx: Context, wanted: Wanted) -> dict[str, Any]:
    found = overview(
        ctx,
        limit=_LIMIT,
        page_token=wanted.page_token or None,
        state=wanted.state or None,
        name_part=wanted.name.strip() or None,
        label=wanted.label.strip() or None,
    )
    return {
        "overview": found,
        "end_reason": end_reason,
        "wanted": wanted,
        "sparklines": {one.study_id: sparkline(one.improvements, one.n_results) for one in found.studies},
    }
