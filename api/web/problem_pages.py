"""Problem pages: middleware that shows problem documents as HTML, as a page or as a notice on one."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problem_documents import MEDIA_TYPE
from api.web import session
from api.web.rendering import lead_to, page, wants_part

_UNAUTHENTICATED: Final = 401
_ADVICE: Final = {
    403: "Your token does not allow this. Sign in with one that does, or ask whoever runs this server for it.",
    404: "It may have been deleted, or the address is mistyped. Go back, or start from the studies.",
    409: "Things changed meanwhile. Load the page again and look at the present state.",
    413: "Send something smaller.",
    422: "Go back and change what is named above.",
    429: "Wait a moment, then try again.",
    503: "The server can not reach its database or its disk right now. This page tries again by itself.",
}
_FALLBACK: Final = "Try again. If it stays, the server's log tells more under the id below."


class ProblemPages:
    """Shows problems of addresses under /ui as people can read them; all others pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or not _is_page(scope):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = bytearray()

        async def watched(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
                return
            if start is None:
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await _shown(Request(scope), start, json.loads(bytes(body)))(scope, receive, send)

        await self._app(scope, receive, watched)


def _is_page(scope: Scope) -> bool:
    """Return whether a person looks at the answer: scripts that fetch data take JSON and get it."""
    path: str = scope["path"]
    if path != session.PATH and not path.startswith(session.PATH + "/"):
        return False
    return "application/json" not in Headers(scope=scope).get("accept", "")


def _is_problem(start: Message) -> bool:
    return MutableHeaders(raw=list(start["headers"])).get("content-type", "") == MEDIA_TYPE


def _shown(request: Request, start: Message, problem: dict[str, Any]) -> Response:
    status: int = start["status"]
    if status == _UNAUTHENTICATED:
        return _signed_out(request)
    given = Headers(raw=list(start["headers"]))
    kept = {name: given[name] for name in ("retry-after", "allow") if name in given}
    values: dict[str, Any] = {"problem": problem, "advice": _ADVICE.get(status, _FALLBACK)}
    if wants_part(request):
        return page(
            request,
            "parts/problem.html",
            status=status,
            headers={**kept, "HX-Retarget": "#notices", "HX-Reswap": "beforeend"},
            **values,
        )
    return page(request, "problem.html", status=status, headers=kept, **values)


def _signed_out(request: Request) -> Response:
    """Redirect to the sign-in page, which says so when a session is no longer valid; its cookie is deleted."""
    had_session = bool(session.token_of(request))
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET" or wants_part(request):
        wanted = session.HOME
    response = lead_to(request, session.sign_in_address(wanted, ended=had_session))
    if wants_part(request):
        response.status_code = _UNAUTHENTICATED  # the script that reconnects an event stream handles this one
    elif had_session:
        session.close_session(request, response)
    return response
