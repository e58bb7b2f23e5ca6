"""Signing in with a token and out again."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.errors.problem_documents import ProblemError
from api.guard import authenticate
from api.routing import PUBLIC
from api.web import session
from api.web.forms import form_fields
from api.web.page_routes import PageRoutes
from api.web.rendering import lead_to, page, wants_part
from hpsearch.errors import UnauthenticatedError

_MAX_FORM_BYTES: Final = 8192
_WRONG: Final = "This token is not valid here: it may be mistyped, revoked, expired, or from another server."
_MISSING: Final = "Paste a token first."

routes = PageRoutes("page")

_Next = Annotated[str | None, Query(max_length=500, description="Page to go to afterwards.")]


@routes.get("/", scope=PUBLIC)
async def front_door(request: Request) -> Response:
    """Lead people to the page and tell programs where the interface is described."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(session.HOME, status_code=303)
    raise ProblemError(404, "route.not_found", "there is nothing at this address; /docs lists what there is")


@routes.get("/ui", scope=PUBLIC)
async def page_door() -> Response:
    """Lead to the first page."""
    return RedirectResponse(session.HOME, status_code=303)


@routes.get("/ui/sign-in", scope=PUBLIC)
async def sign_in_page(
    request: Request,
    next: _Next = None,  # noqa: A002 - a name in the address
    ended: Annotated[bool, Query(description="A session is over.")] = False,  # noqa: FBT002 - a name in the address
) -> Response:
    """Ask for a token."""
    return page(request, "sign_in.html", wanted=session.local_page(next), ended=ended, message=None)


@routes.post("/ui/sign-in", scope=PUBLIC, max_body_bytes=_MAX_FORM_BYTES)
async def sign_in(request: Request) -> Response:
    """Open a session for a valid token."""
    form = await form_fields(request)
    raw, wanted = form.get("token", "").strip(), session.local_page(form.get("next"))
    message, status = _MISSING, 422
    if raw:
        try:
            await authenticate(request, raw)
        except UnauthenticatedError:
            message, status = _WRONG, 401
        except ProblemError as error:
            message, status = error.detail[:1].upper() + error.detail[1:] + ".", error.status
        else:
            response = lead_to(request, wanted)
            session.open_session(request, response, raw)
            return response
    template = "parts/sign_in_form.html" if wants_part(request) else "sign_in.html"
    return page(request, template, status=status, wanted=wanted, ended=False, message=message)


@routes.post("/ui/sign-out", scope=PUBLIC, max_body_bytes=_MAX_FORM_BYTES)
async def sign_out(request: Request) -> Response:
    """Close the session; the token itself stays valid."""
    response = lead_to(request, session.SIGN_IN)
    session.close_session(request, response)
    return response
