"""Forms: the fields a page sends, small and few."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from api.bodies import BODY_TIMEOUT_S
from api.problems import ProblemError

MAX_FORM_BYTES: Final = 512 * 1024
_MAX_FIELDS: Final = 256


async def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of an urlencoded form by name; of a repeated one the last.

    Raises:
        ProblemError: 408 when it does not arrive, 413 above the route's cap, 422 when it can not be read.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.body()
    except TimeoutError:
        detail = f"the form did not arrive within {BODY_TIMEOUT_S:.0f} seconds; send it again"
        raise ProblemError(408, "body.too_slow", detail) from None
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        detail = (
            f"the form can not be read: expected at most {_MAX_FIELDS} urlencoded fields in UTF-8; load the page again"
        )
        raise ProblemError(422, "form.malformed", detail) from None
    return dict(pairs)
