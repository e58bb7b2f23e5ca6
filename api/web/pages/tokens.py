"""Tokens, for those who may make them: made, listed, revoked."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service, Shared
from api.errors.field_errors import field_errors_of, summary
from api.request_parameters import TokenId
from api.web.forms import MAX_FORM_BYTES, form_fields
from api.web.page_routes import PageRoutes
from api.web.rendering import lead_to, page
from hpsearch.service import tokens
from hpsearch.wire.tokens import SCOPES, TokenRequest

_DAY_S: Final = 86_400
_DAYS: Final = re.compile(r"[1-9][0-9]{0,5}")
_MAX_DAYS: Final = 36_500
_WRONG: Final = 422
_MEANINGS: Final = {
    "read": "look at everything",
    "submit": "also create and steer studies",
    "worker": "claim and train trials (for workers)",
    "admin": "everything, including tokens",
}

routes = PageRoutes("page")


@routes.get("/ui/tokens", scope="admin")
def tokens_page(request: Request, ctx: Service) -> Response:
    """Show the tokens, newest first, and a form for another."""
    known = tokens.listing(ctx)
    return page(request, "tokens.html", section="tokens", tokens=known, meanings=_MEANINGS, **_empty())


def _empty() -> dict[str, Any]:
    return {"made": None, "error": None}


@routes.post("/ui/tokens", scope="admin", max_body_bytes=MAX_FORM_BYTES)
async def create_token_part(request: Request, state: Shared) -> Response:
    """Make a token and show it this once."""
    fields = await form_fields(request)
    asked: dict[str, Any] = {"name": fields.get("name", "").strip()}
    asked["scopes"] = [scope for scope in SCOPES if f"scope.{scope}" in fields]
    days = fields.get("days", "").strip()
    if not asked["scopes"]:
        return _refused(request, "choose at least one scope")
    if days:
        if not _DAYS.fullmatch(days) or int(days) > _MAX_DAYS:
            return _refused(request, f"the days must be a whole number from 1 to {_MAX_DAYS:,}, received {days[:20]!r}")
        asked["expires_in_s"] = int(days) * _DAY_S
    try:
        wanted = TokenRequest.model_validate(asked)
    except ValidationError as error:
        return _refused(request, summary(field_errors_of(error, asked, TokenRequest)))
    made = await run_in_threadpool(tokens.create, state.context, wanted)
    return page(request, "parts/token_made.html", made=made, error=None)


def _refused(request: Request, error: str) -> Response:
    return page(request, "parts/token_made.html", status=_WRONG, made=None, error=error)


@routes.post("/ui/tokens/{token_id}/revoke", scope="admin", max_body_bytes=MAX_FORM_BYTES)
async def revoke_token_page(request: Request, token_id: TokenId, state: Shared) -> Response:
    """Make a token useless from now on."""
    await run_in_threadpool(tokens.revoke, state.context, token_id)
    state.token_cache.forget(token_id)
    return lead_to(request, "/ui/tokens")
