"""What browsers may do with answers: the policy is on every one, of pages, data, files, errors and the interface."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from api.app import create_app
from hpsearch.settings import Settings
from tests.api.web.conftest import COOKIE, OWN, Site

_ID = "01a1fcaa-8692-752e-b261-aadb553fcee8"
_NEEDED = ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'")
_FORBIDDEN = ("unsafe", "http:", "https:", "*", "blob:")
# Of the documentation alone, whose scripts come in a package.
_DOCS = "/docs"


def _requests() -> list[tuple[str, str]]:
    """Return the method and an address of every route of the application."""
    found = []
    for route in create_app(Settings()).routes:
        assert isinstance(route, APIRoute)
        values = dict.fromkeys(route.param_convertors, _ID) | {"verb": "drain", "name": "app.css"}
        address = route.path.format(**values)
        # A stream that is let begin does not end; one with a page token that can not be used is refused.
        if address.endswith("/live") and _ID not in address:
            address += "?page_token=none"
        found += [(method, address) for method in sorted(route.methods or ())]
    return found


@pytest.mark.parametrize(("method", "address"), _requests(), ids=lambda part: str(part).replace(_ID, "ID"))
@pytest.mark.parametrize("who", ["nobody", "person", "program"])
def test_the_policy_is_on_every_answer(site: Site, method: str, address: str, who: str) -> None:
    headers = {
        "nobody": {},
        "person": {"Cookie": f"{COOKIE}={site.reader.token}", "Accept": "text/html", **OWN},
        "program": {"Authorization": f"Bearer {site.people['worker'].token}"},
    }[who]
    answer = site.client.request(method, address, headers=headers, follow_redirects=False)
    assert answer.status_code < 500, answer.text
    policies = answer.headers.get_list("Content-Security-Policy")
    assert len(policies) == 1, policies
    assert all(part in policies[0] for part in _NEEDED), policies
    if not address.startswith(_DOCS):
        assert not any(word in policies[0] for word in _FORBIDDEN), policies
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("address", ["/nothing", "/ui/nothing", "/ui/static/nothing", "/v1/nothing", "/ui/%00"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "BREW"])
def test_it_is_on_refusals_too(site: Site, method: str, address: str) -> None:
    answer = site.client.request(method, address, headers={"Accept": "text/html", "Origin": "https://evil.test"})
    assert 400 <= answer.status_code < 500
    assert all(part in answer.headers["Content-Security-Policy"] for part in _NEEDED)


def test_a_session_is_no_key_to_the_interface(site: Site) -> None:
    """Not even when its cookie is sent there, which no browser does."""
    for name in (COOKIE, f"{COOKIE}_80"):
        headers = {"Cookie": f"{name}={site.admin.token}", **OWN}
        for method, address in _requests():
            if address.startswith("/v1/"):
                answer = site.client.request(method, address, headers=headers)
                assert answer.status_code == 401, (method, address, answer.text)
