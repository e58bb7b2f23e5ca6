"""Session cookie with the user's token (HttpOnly, SameSite), and the CSRF check of requests that change something."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

PATH: Final = "/ui"
SIGN_IN: Final = "/ui/sign-in"
HOME: Final = "/ui/studies"
# Longer than any token made here; what is longer is not looked at.
_MAX_TOKEN_CHARS: Final = 512


def cookie_name(request: Request) -> str:
    """Return the cookie's name; it holds the port, since cookies do not keep servers on one machine apart."""
    try:
        port = urlsplit(f"//{request.headers.get('host', '')}").port
    except ValueError:  # such a Host is refused, and the page that says so asks for a session
        port = None
    return f"hpsearch_session_{port}" if port is not None else "hpsearch_session"


def token_of(request: Request) -> str:
    """Return the token of the request's session; empty when there is none."""
    raw = request.cookies.get(cookie_name(request), "").strip()
    return raw if len(raw) <= _MAX_TOKEN_CHARS else ""


def open_session(request: Request, response: Response, raw: str) -> None:
    """Let the browser keep the token until it is closed: out of scripts' sight, and never sent from other sites."""
    response.set_cookie(
        cookie_name(request), raw, path=PATH, httponly=True, samesite="strict", secure=is_secure(request)
    )


def close_session(request: Request, response: Response) -> None:
    """Let the browser forget the token."""
    response.delete_cookie(cookie_name(request), path=PATH, httponly=True, samesite="strict", secure=is_secure(request))


def is_secure(request: Request) -> bool:
    """Return whether the browser came over TLS, which often ends at a proxy before this server.

    The proxy's header and the browser's Origin are trusted here, since they can only make the cookie stricter.
    """
    return (
        request.url.scheme == "https"
        or request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower() == "https"
        or request.headers.get("origin", "").startswith("https://")
    )


def is_same_site(request: Request) -> bool:
    """Return whether the browser says that a page of this server sent the request (CSRF check).

    Browsers send `Sec-Fetch-Site` over TLS and to their own machine, `Origin` everywhere. A request with neither is
    refused.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = urlsplit(request.headers.get("origin", ""))
    return bool(origin.netloc) and origin.netloc.lower() == request.headers.get("host", "").lower()


def sign_in_address(wanted: str, *, ended: bool) -> str:
    """Return the address of the sign-in page that leads on to the wanted one.

    Args:
        wanted: Path and query the person asked for.
        ended: Whether there was a session, which is over.
    """
    query = [f"next={quote(wanted, safe='')}"] if local_page(wanted) == wanted != HOME else []
    query += ["ended=1"] if ended else []
    return SIGN_IN + ("?" + "&".join(query) if query else "")


def local_page(wanted: str | None) -> str:
    """Return the wanted address if it is a page of ours, and the first page otherwise."""
    if wanted is None or not wanted.startswith("/ui/") or wanted.startswith(SIGN_IN) or "\\" in wanted:
        return HOME
    return wanted if wanted.isprintable() and wanted.isascii() else HOME
