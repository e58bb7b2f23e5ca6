"""Data sets: uploaded, listed, described, downloaded, deleted."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service, Shared
from api.guard import Authenticated
from api.request_bodies.dataset_form import receive_dataset
from api.request_bodies.multipart import OVERHEAD_BYTES
from api.request_parameters import DatasetId, Page
from api.responses import file_response, json_response, no_content
from api.routing import Routes, mount
from hpsearch.domain.dataset import Dataset, DatasetProfile
from hpsearch.service import datasets
from hpsearch.settings import Settings
from hpsearch.wire import pages

_FORM: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "CSV, Parquet or NPZ; told apart by content, not by name.",
                        },
                        "name": {"type": "string", "description": "For people; the file's own name when left out."},
                        "target": {"type": "string", "description": "Column to predict; the last one when left out."},
                    },
                },
                "example": {"file": "sepal,petal,species\n5.1,1.4,setosa\n…", "name": "iris", "target": "species"},
            }
        },
    }
}

routes = Routes("datasets")


def mount_upload(app: FastAPI, settings: Settings) -> None:
    """Put the upload into the application, with the cap of the settings."""
    upload = Routes("datasets")
    cap = settings.max_upload_bytes + OVERHEAD_BYTES
    upload.post(
        "/v1/datasets",
        scope="submit",
        response_model=Dataset,
        status=201,
        errors=(400, 408, 413, 415, 422, 429, 507),
        described=_FORM,
        max_body_bytes=cap,
    )(create_dataset)
    mount(app, upload)


async def create_dataset(request: Request, state: Shared, caller: Authenticated) -> Response:
    """Add a data set: a CSV, Parquet or NPZ file. The same content, name and target twice are one data set."""
    made = await receive_dataset(request, state, caller)
    return json_response(made, 201, {"Location": f"/v1/datasets/{made.dataset_id}"})


@routes.get("/v1/datasets", scope="read", response_model=pages.Page[Dataset])
def list_datasets(ctx: Service, page: Page) -> Response:
    """List data sets, newest first."""
    return json_response(datasets.listing(ctx, limit=page.limit, page_token=page.page_token))


@routes.get("/v1/datasets/{dataset_id}", scope=("read", "worker"), response_model=Dataset, errors=(404,))
def get_dataset(dataset_id: DatasetId, ctx: Service) -> Response:
    """Return a data set."""
    return json_response(datasets.get(ctx, dataset_id))


@routes.get("/v1/datasets/{dataset_id}/profile", scope=("read", "worker"), response_model=DatasetProfile, errors=(404,))
def get_dataset_profile(dataset_id: DatasetId, ctx: Service) -> Response:
    """Describe a data set: columns and their kinds, missing values, class balance, warnings."""
    return json_response(datasets.profile(ctx, dataset_id))


@routes.get(
    "/v1/datasets/{dataset_id}/content",
    scope=("submit", "worker"),
    errors=(304, 404, 409),
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
def download_dataset(dataset_id: DatasetId, ctx: Service, request: Request) -> Response:
    """Download the stored content, a Parquet file with the target as its last column."""
    return file_response(request, datasets.content(ctx, dataset_id))


@routes.delete("/v1/datasets/{dataset_id}", scope="submit", status=204, errors=(404, 409))
def delete_dataset(dataset_id: DatasetId, ctx: Service) -> Response:
    """Delete a data set that no study uses."""
    datasets.delete(ctx, dataset_id)
    return no_content()
