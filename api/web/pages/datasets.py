"""Data sets: listed, described, uploaded, deleted."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service, Shared
from api.guard import Authenticated
from api.request_bodies.dataset_form import receive_dataset
from api.request_bodies.multipart import OVERHEAD_BYTES
from api.request_parameters import DatasetId
from api.web.forms import MAX_FORM_BYTES
from api.web.page_routes import PageRoutes
from api.web.rendering import lead_to, page
from hpsearch.domain.study import BUILTIN_DATASETS, GENERATED_DATASETS
from hpsearch.service import datasets
from hpsearch.settings import Settings

_LIMIT: Final = 50

routes = PageRoutes("page")


def upload_routes(settings: Settings) -> PageRoutes:
    """Return the route that takes data files, with the cap of the settings."""
    upload = PageRoutes("page")
    cap = settings.max_upload_bytes + OVERHEAD_BYTES
    upload.post("/ui/datasets", scope="submit", max_body_bytes=cap)(upload_dataset_page)
    return upload


async def upload_dataset_page(request: Request, state: Shared, caller: Authenticated) -> Response:
    """Take a data file and lead to the form for a study of it."""
    made = await receive_dataset(request, state, caller)
    return lead_to(request, f"/ui/studies/new?dataset={made.dataset_id}")


@routes.get("/ui/datasets", scope="read")
def datasets_page(
    request: Request,
    ctx: Service,
    page_token: Annotated[str | None, Query(max_length=2000, description="Of the page before.")] = None,
) -> Response:
    """Show the data sets, newest first."""
    found = datasets.listing(ctx, limit=_LIMIT, page_token=page_token)
    return page(
        request,
        "datasets.html",
        section="datasets",
        datasets=found.items,
        next_page_token=found.next_page_token,
        page_token=page_token,
        builtin=BUILTIN_DATASETS,
        generated=GENERATED_DATASETS,
    )


@routes.get("/ui/datasets/{dataset_id}", scope="read")
def dataset_page(request: Request, dataset_id: DatasetId, ctx: Service) -> Response:
    """Show what is known of a data set."""
    found = datasets.get(ctx, dataset_id)
    profile = datasets.profile(ctx, dataset_id)
    return page(request, "dataset.html", section="datasets", dataset=found, profile=profile)


@routes.post("/ui/datasets/{dataset_id}/delete", scope="submit", max_body_bytes=MAX_FORM_BYTES)
def delete_dataset_page(request: Request, dataset_id: DatasetId, ctx: Service) -> Response:
    """Delete a data set that no study uses."""
    datasets.delete(ctx, dataset_id)
    return lead_to(request, "/ui/datasets")
