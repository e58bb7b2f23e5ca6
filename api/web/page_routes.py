"""Page routes: declared like the API's, but authenticated by the session cookie, with CSRF checks, undocumented."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, Unpack

from starlette.requests import Request

from api.errors.problem_documents import ProblemError
from api.guard import Guard
from api.routing import RouteOptions, Routes
from api.web import session
from hpsearch.wire.tokens import Scope

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_SAFE: Final = frozenset({"GET", "HEAD"})
_FOREIGN: Final = "this request did not come from a page of this server; open the page again and repeat what you did"


class SessionGuard(Guard):
    """Checks one page route's requests: the token is the session's, and changes must come from own pages (CSRF)."""

    async def __call__(self, request: Request) -> None:
        """Let the request pass.

        Raises:
            ProblemError: 403 for a change that another site may have sent, and as `Guard`.
            UnauthenticatedError: There is no session, or its token is not valid any more.
            ForbiddenError: The token lacks the scope.
        """
        if request.method not in _SAFE and not session.is_same_site(request):
            raise ProblemError(403, "session.cross_site", _FOREIGN)
        await super().__call__(request)

    def _raw_token(self, request: Request) -> str:
        return session.token_of(request)


class PageRoutes(Routes):
    """The page routes of one resource.

    Args:
        tag: Of the resource.
    """

    def add(
        self, method: str, path: str, *, scope: str | Sequence[Scope], **options: Unpack[RouteOptions]
    ) -> Callable[[Endpoint], Endpoint]:
        """Return a decorator that declares the route; see `Routes.add`."""
        mine: RouteOptions = {"hidden": True, "guard": SessionGuard, **options}
        return super().add(method, path, scope=scope, **mine)
