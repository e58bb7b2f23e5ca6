"""Guard: the dependency of every route that authenticates the caller, checks their scope and sets the body limit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, cast

from fastapi import Depends
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.app_state import AppState
from api.errors.problem_documents import ProblemError
from api.middleware.host_and_body_limits import meter_of
from hpsearch.errors import ForbiddenError, UnauthenticatedError
from hpsearch.service import tokens
from hpsearch.service.context import Caller
from hpsearch.wire.tokens import Scope

# Key of the caller in a request's ASGI scope.
CALLER: Final = "hpsearch.caller"


class Guard:
    """Checks one route's requests before anything of their body is read.

    Args:
        scopes: Any one of them is enough, and `admin` always; empty for a public route.
        max_body_bytes: Largest body; None keeps the general cap.

    Attributes:
        query: Names of the query parameters the route knows; any other is refused.
    """

    def __init__(self, scopes: Iterable[Scope], *, max_body_bytes: int | None = None) -> None:
        self.scopes = frozenset(scopes)
        self.max_body_bytes = max_body_bytes
        self.query: frozenset[str] = frozenset()

    async def __call__(self, request: Request) -> None:
        """Let the request pass.

        Raises:
            UnauthenticatedError: There is no valid token in the Authorization header, the only place looked at.
            ForbiddenError: The token lacks the scope.
            ProblemError: 413, 422 or 429.
        """
        if self.scopes:
            caller = await self._caller(request)
            request.scope[CALLER] = caller
            if not caller.scopes & self.scopes and not caller.is_admin:
                wanted = " or ".join(sorted(self.scopes))
                held = ", ".join(sorted(caller.scopes)) or "none"
                msg = f"this needs a token with the scope {wanted}; yours has {held}"
                raise ForbiddenError(msg, code="auth.missing_scope")
            # Probes of public routes may add what they like.
            if request.scope["query_string"]:
                self._check_query(request)
        meter_of(request.scope).allow(self.max_body_bytes)

    async def _caller(self, request: Request) -> Caller:
        raw = self._raw_token(request)
        if not raw:
            msg = "no bearer token"
            raise UnauthenticatedError(msg)
        return await authenticate(request, raw)

    def _raw_token(self, request: Request) -> str:
        """Return the token as it was sent; empty when there is none."""
        given = request.headers.getlist("authorization")
        kind, _, raw = (given[0] if len(given) == 1 else "").partition(" ")
        return raw.strip() if kind.lower() == "bearer" else ""

    def _check_query(self, request: Request) -> None:
        for name in request.query_params:
            if name not in self.query:
                known = f"known are {', '.join(sorted(self.query))}" if self.query else "there are none here"
                detail = f"unknown query parameter {name[:80]!r}; {known}"
                problem = {"field": name[:200], "message": f"is not a known query parameter; {known}"}
                raise ProblemError(422, "parameter.unknown", detail, errors=[problem])


async def authenticate(request: Request, raw: str) -> Caller:
    """Return who holds a raw token.

    Raises:
        UnauthenticatedError: It is not valid.
        ProblemError: 429, it is not valid and too many such came from this address.
    """
    state = cast("AppState", request.app.state.shared)
    cached = state.token_cache.get(raw)
    if cached is not None:
        return cached
    try:
        caller = await run_in_threadpool(tokens.authenticate, state.context, raw)
    except UnauthenticatedError:
        state.failed_logins.count(request.client.host if request.client else "unknown")
        raise
    state.token_cache.put(raw, caller)
    return caller


async def caller_of(request: Request) -> Caller:
    """Return the caller, whom the route's guard has authenticated."""
    return cast("Caller", request.scope[CALLER])


Authenticated = Annotated[Caller, Depends(caller_of)]
