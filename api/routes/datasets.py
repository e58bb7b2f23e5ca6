"""Data sets: uploaded, listed, described, downloaded, deleted."""

from __future__ import annotations

import re
from typing import Final

from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.complaints import complaints, summary
from api.edge import Service, Shared
from api.guard import Asker
from api.multipart import OVERHEAD_BYTES, UploadForm, receive_form
from api.parameters import DatasetId, Page
from api.problems import ProblemError
from api.replies import file_reply, json_reply, no_content
from api.routing import Routes, mount
from hpsearch.domain.dataset import Dataset, DatasetProfile
from hpsearch.domain.strict import Name
from hpsearch.service import datasets
from hpsearch.settings import Settings
from hpsearch.wire import pages

_FIELDS: Final = frozenset({"name", "target"})
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Name)
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
    upload.post("/v1/datasets", scope="submit", reply=Dataset, status=201, described=_FORM, max_body_bytes=cap)(
        create_dataset
    )
    mount(app, upload)


async def create_dataset(request: Request, edge: Shared, caller: Asker) -> Response:
    """Add a data set: a CSV, Parquet or NPZ file. The same content, name and target twice are one data set."""
    path = edge.context.blobs.new_temporary()
    with edge.uploads.one(caller.token_id):
        try:
            form = await receive_form(request, path, fields=_FIELDS)
            name, target = _texts(form)
            made = await run_in_threadpool(datasets.upload, edge.context, caller, path, name=name, target=target)
        finally:
            await run_in_threadpool(path.unlink, missing_ok=True)
    return json_reply(made, 201, {"Location": f"/v1/datasets/{made.dataset_id}"})


def _texts(form: UploadForm) -> tuple[str, str | None]:
    """Return name and target of a form."""
    given = {key: text for key, text in form.texts.items() if text}
    for key, text in given.items():
        try:
            _NAME.validate_python(text)
        except ValidationError as error:
            flat = [{**item, "loc": (key,)} for item in error.errors(include_url=False, include_context=False)]
            found = complaints(flat, given)
            raise ProblemError(422, "form.invalid", summary(found), errors=found) from None
    return given.get("name") or _stem(form.filename or ""), given.get("target")


def _stem(filename: str) -> str:
    """Return a name for people from whatever a client calls its file; no path is ever made from it."""
    last = re.split(r"[/\\]", filename)[-1]
    plain = "".join(character for character in last if character.isprintable())
    return plain.rsplit(".", 1)[0].strip()[:200] or "data"


@routes.get("/v1/datasets", scope="read", reply=pages.Page[Dataset])
def list_datasets(ctx: Service, page: Page) -> Response:
    """List data sets, newest first."""
    return json_reply(datasets.listing(ctx, limit=page.limit, page_token=page.page_token))


@routes.get("/v1/datasets/{dataset_id}", scope=("read", "worker"), reply=Dataset, errors=(404,))
def get_dataset(dataset_id: DatasetId, ctx: Service) -> Response:
    """Return a data set."""
    return json_reply(datasets.get(ctx, dataset_id))


@routes.get("/v1/datasets/{dataset_id}/profile", scope=("read", "worker"), reply=DatasetProfile, errors=(404,))
def get_dataset_profile(dataset_id: DatasetId, ctx: Service) -> Response:
    """Describe a data set: columns and their kinds, missing values, class balance, warnings."""
    return json_reply(datasets.profile(ctx, dataset_id))


@routes.get(
    "/v1/datasets/{dataset_id}/content",
    scope=("submit", "worker"),
    errors=(304, 404),
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
def download_dataset(dataset_id: DatasetId, ctx: Service, request: Request) -> Response:
    """Download the stored content, a Parquet file with the target as its last column."""
    return file_reply(request, datasets.content(ctx, dataset_id))


@routes.delete("/v1/datasets/{dataset_id}", scope="submit", status=204, errors=(404, 409))
def delete_dataset(dataset_id: DatasetId, ctx: Service) -> Response:
    """Delete a data set that no study uses."""
    datasets.delete(ctx, dataset_id)
    return no_content()
