"""Urlencoded forms of the page, with limits of size and number of fields."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from api.errors.problem_documents import ProblemError
from api.request_bodies.json_bodies import read_body

MAX_FORM_BYTES: Final = 512 * 1024
_MAX_FIELDS: Final = 256


async def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of an urlencoded form by name; of a repeated one the last.

    Raises:
        ProblemError: Those of `read_body`; 422 when it can not be read.
    """
    body = await read_body(request)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        detail = (
            f"the form can not be read: expected at most {_MAX_FIELDS} urlencoded fields in UTF-8; load the page again"
        )
        raise ProblemError(422, "form.malformed", detail) from None
    return dict(pairs)
