"""Middleware for unexpected errors: the client gets a 500 without internals, the log gets the traceback."""

from __future__ import annotations

import logging
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.problem_documents import ProblemError, problem
from api.request_scope import request_id_of, route_of

_log = logging.getLogger("hpsearch.api")
_DETAIL: Final = "something unexpected happened on the server; its log tells more under this request_id"


class UnexpectedErrors:
    """Answers when an exception has no handler."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            request_id = request_id_of(scope)
            _log.error("unexpected error in request %s of %s", request_id, route_of(scope), exc_info=error)
            if started:
                raise  # half an answer can only be cut off
            await problem(ProblemError(500, "server.unexpected", _DETAIL), request_id)(scope, receive, send)
