"""The multipart form of a data file, sent by a program to the API or by a person through the page."""

from __future__ import annotations

import re
from typing import Final

from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.app_state import AppState
from api.errors.field_errors import field_errors, summary
from api.errors.problem_documents import ProblemError
from api.request_bodies.multipart import UploadForm, receive_form
from hpsearch.domain.dataset import Dataset
from hpsearch.domain.strict import NewName
from hpsearch.service import datasets
from hpsearch.service.context import Caller

_FIELDS: Final = frozenset({"name", "target"})
_NAME: Final[TypeAdapter[str]] = TypeAdapter(NewName)


async def receive_dataset(request: Request, state: AppState, caller: Caller) -> Dataset:
    """Return the data set made from a form with the parts `file`, `name` and `target`.

    Raises:
        InvalidDatasetError: The file can not be read or used; nothing is kept.
        ProblemError: The form is malformed, too large or too slow, or too many files come at once.
    """
    path = state.context.content.new_temporary()
    with state.uploads.place(caller.token_id):
        try:
            form = await receive_form(request, path, fields=_FIELDS)
            name, target = _texts(form)
            return await run_in_threadpool(datasets.upload, state.context, caller, path, name=name, target=target)
        finally:
            await run_in_threadpool(path.unlink, missing_ok=True)


def _texts(form: UploadForm) -> tuple[str, str | None]:
    """Return name and target of a form."""
    given = {key: text for key, text in form.texts.items() if text}
    for key, text in given.items():
        try:
            _NAME.validate_python(text)
        except ValidationError as error:
            flat = [{**item, "loc": (key,)} for item in error.errors(include_url=False, include_context=False)]
            found = field_errors(flat, given)
            raise ProblemError(422, "form.invalid", summary(found), errors=found) from None
    return given.get("name") or _stem(form.filename or ""), given.get("target")


def _stem(filename: str) -> str:
    """Return a name for people from a client's file name; no path is ever made from it."""
    last = re.split(r"[/\\]", filename)[-1]
    plain = "".join(character for character in last if character.isprintable())
    return plain.rsplit(".", 1)[0].strip()[:200] or "data"
