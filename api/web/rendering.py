"""Rendering of templates to responses, with the headers, rights and compression every page needs."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api.guard import CALLER
from api.web import assets, formatting, session
from hpsearch import __version__
from hpsearch.service.context import Caller

# Icons and charts may be drawn from data: addresses; scripts, styles and requests come from and go to this server only.
POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Vary": "Cookie, HX-Request"}

_WORTH_PACKING_BYTES: Final = 1024
_PACKING_LEVEL: Final = 5

templates: Final = Environment(
    loader=FileSystemLoader(Path(__file__).resolve().parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
templates.globals.update(asset=assets.address_of, version=__version__)
templates.filters.update(formatting.FILTERS)


class Rights:
    """What the person who looks may do; templates leave out the buttons they may not press.

    Attributes:
        signed_in: Whether there is a session.
        read: May see studies.
        submit: May create and steer studies.
        admin: May steer workers and make tokens.
    """

    def __init__(self, caller: Caller | None, *, signed_in: bool | None = None) -> None:
        held = caller.scopes if caller is not None else frozenset()
        self.signed_in = caller is not None if signed_in is None else signed_in
        self.admin = "admin" in held
        self.read = self.admin or "read" in held
        self.submit = self.admin or "submit" in held


def rights_of(request: Request) -> Rights:
    """Return what the person who looks may do; nothing where no guard has asked who it is."""
    caller = cast("Caller | None", request.scope.get(CALLER))
    if caller is None and "route" not in request.scope:
        return Rights(None, signed_in=bool(session.token_of(request)))  # an address that is none, seen from inside
    return Rights(caller)


def wants_part(request: Request) -> bool:
    """Return whether htmx asks for a part of a page, not a browser for a whole one."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-history-restore-request") != "true"


def text_of(template: str, rights: Rights, /, **values: Any) -> str:
    """Return a rendered template; for what no request waits for, such as event streams."""
    return templates.get_template(template).render(rights=rights, section=None, **values)


def page(
    request: Request,
    template: str,
    /,
    *,
    status: int = 200,
    section: str | None = None,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """Return the answer made from a template.

    Args:
        request: Who looks, and what their browser can unpack.
        template: Name in `templates/`, such as `studies.html`.
        status: HTTP status.
        section: Entry of the navigation that is current.
        headers: Further headers, such as `HX-Push-Url`.
        **values: What the template shows; all of it is escaped.
    """
    text = templates.get_template(template).render(rights=rights_of(request), section=section, **values)
    return rendered(request, text, status=status, headers=headers)


def rendered(request: Request, text: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer with what a template has made already, such as a part that several people share."""
    content = text.encode("utf-8", "replace")
    all_headers = {**_HEADERS, **(headers or {})}
    if len(content) >= _WORTH_PACKING_BYTES and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, _PACKING_LEVEL, mtime=0)
        all_headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding, " + _HEADERS["Vary"]}
    return HTMLResponse(content, status_code=status, headers=all_headers)


def lead_to(request: Request, address: str) -> Response:
    """Return an answer that brings the browser to another page, whether htmx or the browser itself asked."""
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY}
    if wants_part(request):
        return Response(status_code=204, headers=headers | {"HX-Redirect": address})
    return Response(status_code=303, headers=headers | {"Location": address})
