"""JSON request bodies, validated against one pydantic model, with a size limit and a timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.errors.field_errors import field_errors_of, summary
from api.errors.problem_documents import ProblemError
from api.middleware.host_and_body_limits import meter_of
from api.request_bodies.strict_json import parse

if TYPE_CHECKING:
    from api.app_state import AppState

Model = TypeVar("Model", bound=BaseModel)

# A whole body must arrive within this time: a slow sender must not hold a connection for ever.
BODY_TIMEOUT_S: Final = 30.0
# Bodies of routes that need some fields only.
SMALL_BODY_BYTES: Final = 512 * 1024
# Up to this size reading is quicker than a change of threads; larger bodies are checked a few at a time.
_SMALL_BYTES: Final = 32 * 1024


async def read_json(request: Request) -> bytes:
    """Return the body of a JSON request.

    Raises:
        ProblemError: 415 for another content type, and those of `read_body`.
    """
    _check_content_type(request.headers.get("content-type"))
    return await read_body(request)


async def read_body(request: Request) -> bytes:
    """Return the whole body; it counts as held in memory until the request is answered.

    Raises:
        ProblemError: 408 when it does not arrive in time, 413 above the route's cap, 503 while others hold too much.
    """
    meter_of(request.scope).hold()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.body()
    except TimeoutError:
        detail = f"the body did not arrive within {BODY_TIMEOUT_S:.0f} seconds; send it again"
        raise ProblemError(408, "body.too_slow", detail) from None


def _check_content_type(received: str | None) -> None:
    if received == "application/json":
        return
    kind, _, parameters = (received or "").partition(";")
    kind = kind.strip().lower()
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))) and (
        "charset=" not in parameters.lower() or charset in ("utf-8", "utf8")
    ):
        return
    shown = f"received {received[:80]!r}" if received else "received none"
    raise ProblemError(415, "body.unsupported_type", f"expected the content type application/json in UTF-8, {shown}")


def validate(model: type[Model], raw: bytes, code: str = "body.invalid") -> Model:
    """Return the model in a JSON text; ``code`` is the problem's when it is another.

    Raises:
        ProblemError: Those of `parse`; 422 when it is not this model, with the fields at fault.
    """
    if not raw.strip():
        raise ProblemError(422, "body.missing", f"the body is empty; expected a JSON object ({model.__name__})")
    value = parse(raw)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = field_errors_of(error, value, model)
    except RecursionError:
        raise ProblemError(400, "body.too_deep", "the body is nested too deep") from None
    raise ProblemError(422, code, summary(found), errors=found)


def json_body(
    model: type[Model],
    *,
    inline: bool = False,
    optional: bool = False,
    code: str = "body.invalid",
) -> Callable[[Request], Awaitable[Model]]:
    """Return a dependency that gives the request's body as ``model``.

    Args:
        model: Of the domain or of the wire.
        inline: Check small bodies on the event loop: only for models that are cheap to check with any content.
        optional: An empty body means the model's defaults.
        code: Of the problem when the body is not this model.
    """
    check = partial(validate, model, code=code)

    async def read(request: Request) -> Model:
        if optional and not request.headers.get("content-type") and not (await read_body(request)).strip():
            return model()
        raw = await read_json(request)
        if optional and not raw.strip():
            return model()
        if len(raw) > _SMALL_BYTES:
            return await cast("AppState", request.app.state.shared).compute_limit.run(check, raw)
        return check(raw) if inline else await run_in_threadpool(check, raw)

    return read


def json_object(raw: bytes) -> dict[str, Any]:
    """Return the object in a JSON text, unchecked against any model.

    Raises:
        ProblemError: 400 when it is not JSON, 422 when it is not an object.
    """
    value = parse(raw)
    if not isinstance(value, dict):
        raise ProblemError(422, "body.invalid", "expected a JSON object")
    return value
