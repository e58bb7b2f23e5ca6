"""Signing in and out, what the session may do, and what keeps other sites from using it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from api.app import create_app
from api.limits.failed_logins import MAX_FAILED_PER_MINUTE, FailedLogins
from api.web import session
from api.web.page_routes import SessionGuard
from hpsearch.service import tokens
from hpsearch.settings import Settings
from tests.api.web.conftest import COOKIE, OWN, Person, Site

_PUBLIC = {
    "GET /", "GET /ui", "GET /ui/sign-in", "POST /ui/sign-in", "POST /ui/sign-out", "GET /ui/static/{name}",
    "GET /favicon.ico",
}  # fmt: skip
_ID = "01a1fcaa-8692-752e-b261-aadb553fcee8"
_WRONG = "hps_0000000000000000_" + "A" * 43


def _page_routes() -> Iterator[APIRoute]:
    for route in create_app(Settings()).routes:
        assert isinstance(route, APIRoute)
        if any(isinstance(one.dependency, SessionGuard) for one in route.dependencies):
            yield route


def _guard(route: APIRoute) -> SessionGuard:
    (guard,) = [one.dependency for one in route.dependencies if isinstance(one.dependency, SessionGuard)]
    return guard


def _name(route: APIRoute) -> str:
    assert route.methods
    (method,) = route.methods
    return f"{method} {route.path}"


def _address(route: APIRoute) -> str:
    names = dict.fromkeys(route.param_convertors, _ID) | {"verb": "drain"}
    # A stream that is let begin does not end: one with a page token that can not be used is refused after the guard.
    endless = "?page_token=none" if route.path in ("/ui/studies/live", "/ui/fleet/live") else ""
    return route.path.format(**names) + endless


_GUARDED = [route for route in _page_routes() if _name(route) not in _PUBLIC]


def test_every_page_but_the_public_ones_wants_a_session() -> None:
    names = {_name(route) for route in _page_routes()}
    assert names >= _PUBLIC
    for route in _page_routes():
        assert bool(_guard(route).scopes) == (_name(route) not in _PUBLIC), _name(route)
        assert not route.include_in_schema
        if _name(route).startswith("POST"):
            assert not _guard(route).scopes & {"read", "worker"}, f"{_name(route)} changes something"
    for route in create_app(Settings()).routes:
        if str(getattr(route, "path", "")).startswith("/ui"):
            assert route in list(_same(route)), "every address under /ui is behind a session guard"


def _same(route: object) -> Iterator[object]:
    if isinstance(route, APIRoute) and any(isinstance(one.dependency, SessionGuard) for one in route.dependencies):
        yield route


@pytest.mark.parametrize("route", _GUARDED, ids=_name)
def test_each_page_against_each_scope(site: Site, route: APIRoute) -> None:
    method, address = _name(route).split()[0], _address(route)
    for scope in ("read", "submit", "worker", "admin"):
        person = site.person(scope)
        answer = person.post(address) if method == "POST" else person.part(address, **{"Last-Event-ID": "x"})
        if scope in _guard(route).scopes | {"admin"}:
            assert answer.status_code not in (401, 403), (scope, answer.text)
            assert answer.status_code < 500, answer.text
        else:
            assert answer.status_code == 403, (scope, answer.text)
            assert "needs a token with the scope" in answer.text
            assert answer.headers["HX-Retarget"] == "#notices"
    without = site.client.request(
        method,
        address,
        headers={"Accept": "text/html", **OWN},
        data={} if method == "POST" else None,
        follow_redirects=False,
    )
    assert without.status_code == 303
    assert without.headers["Location"].startswith("/ui/sign-in")
    bearer = {"Authorization": f"Bearer {site.admin.token}", "Accept": "text/html", **OWN}
    assert site.client.request(method, address, headers=bearer, follow_redirects=False).status_code == 303


@pytest.mark.parametrize("route", [route for route in _page_routes() if "POST" in (route.methods or ())], ids=_name)
@pytest.mark.parametrize(
    "said",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.test"},
        {"Origin": "http://testserver", "Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_other_sites_change_nothing(site: Site, route: APIRoute, said: dict[str, str]) -> None:
    headers = {"Cookie": f"{COOKIE}={site.admin.token}", "Accept": "text/html", **said}
    answer = site.client.post(
        _address(route), headers=headers, data={"token": site.admin.token}, follow_redirects=False
    )
    assert answer.status_code == 403
    assert "did not come from a page of this server" in answer.text
    assert "Set-Cookie" not in answer.headers


def test_own_pages_are_told_by_their_origin_where_browsers_say_no_more(site: Site) -> None:
    headers = {"Origin": "http://testserver", "Accept": "text/html"}
    answer = site.client.post("/ui/sign-in", headers=headers, data={"token": site.reader.token}, follow_redirects=False)
    assert answer.status_code == 303


def _sign_in(client: TestClient, token: str, **headers: str) -> dict[str, str]:
    """Return the parts of the cookie set."""
    answer = client.post("/ui/sign-in", headers={**OWN, **headers}, data={"token": token}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"] == "/ui/studies"
    assert token not in answer.headers["Location"] + answer.text
    pairs = [part.strip().partition("=") for part in answer.headers["Set-Cookie"].split(";")]
    return {name.lower(): value for name, _, value in pairs}


def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_do_not_get(site: Site) -> None:
    cookie = _sign_in(site.client, f"  {site.reader.token}\n")
    assert cookie == {COOKIE: site.reader.token, "httponly": "", "path": "/ui", "samesite": "strict"}
    site.client.cookies.clear()


@pytest.mark.parametrize(
    "headers", [{"X-Forwarded-Proto": "https"}, {"X-Forwarded-Proto": "https, http"}, {"Origin": "https://testserver"}]
)
def test_behind_tls_the_cookie_never_travels_without(site: Site, headers: dict[str, str]) -> None:
    assert "secure" in _sign_in(site.client, site.reader.token, **headers)
    site.client.cookies.clear()


def test_two_servers_on_one_machine_have_two_cookies(site: Site) -> None:
    cookie = _sign_in(site.client, site.reader.token, Host="localhost:8001")
    assert f"{COOKIE}_8001" in cookie
    site.client.cookies.clear()


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/ui/fleet?gone=true", "/ui/fleet?gone=true"),
        ("/ui/studies/abc", "/ui/studies/abc"),
        ("//evil.test/ui/", "/ui/studies"),
        ("https://evil.test/ui/", "/ui/studies"),
        ("/ui/\\evil.test", "/ui/studies"),
        ("/ui/x\r\nSet-Cookie: a=b", "/ui/studies"),
        ("/ui/sign-in", "/ui/studies"),
        ("/v1/studies", "/ui/studies"),
        ("javascript:alert(1)", "/ui/studies"),
        ("", "/ui/studies"),
    ],
)
def test_signing_in_leads_on_to_own_pages_only(site: Site, wanted: str, reached: str) -> None:
    fields = {"token": site.reader.token, "next": wanted}
    answer = site.client.post("/ui/sign-in", headers=OWN, data=fields, follow_redirects=False)
    assert answer.headers["Location"] == reached
    site.client.cookies.clear()


def test_the_way_to_a_page_leads_over_the_sign_in(site: Site) -> None:
    answer = site.client.get("/ui/fleet?gone=true", headers={"Accept": "text/html"}, follow_redirects=False)
    assert answer.headers["Location"] == "/ui/sign-in?next=%2Fui%2Ffleet%3Fgone%3Dtrue"
    page = site.client.get(answer.headers["Location"]).text
    assert '<input type="hidden" name="next" value="/ui/fleet?gone=true">' in page
    hostile = site.client.get("/ui/sign-in", params={"next": '/ui/"><script>alert(1)</script>'}).text
    assert "<script>alert" not in hostile


@pytest.mark.parametrize("token", ["", "x", _WRONG, "hps_ü_x", "x" * 3000, "../../etc/passwd"])
def test_wrong_tokens_are_told_kindly(site: Site, token: str) -> None:
    whole = site.client.post("/ui/sign-in", headers=OWN, data={"token": token})
    part = site.client.post("/ui/sign-in", headers={**OWN, "HX-Request": "true"}, data={"token": token})
    for answer in (whole, part):
        assert answer.status_code == (401 if token else 422)
        assert "Set-Cookie" not in answer.headers
        assert 'role="alert"' in answer.text
        assert len(token) < 10 or token not in answer.text
    assert "<html" in whole.text
    assert "<html" not in part.text
    site.client.app.state.shared.failed_logins = FailedLogins()  # type: ignore[attr-defined]


def test_a_session_signs_in_without_the_cookie_leaving_the_page(site: Site) -> None:
    browser = site.client  # it keeps cookies, and sends them where they belong
    _sign_in(browser, site.admin.token)
    sent = browser.get("/ui/studies")
    assert sent.status_code == 200
    assert COOKIE in sent.request.headers["Cookie"]
    api = browser.get("/v1/studies")
    assert "Cookie" not in api.request.headers
    assert api.status_code == 401
    out = browser.post("/ui/sign-out", headers=OWN, follow_redirects=False)
    assert out.headers["Location"] == "/ui/sign-in"
    assert 'hpsearch_session=""' in out.headers["Set-Cookie"]
    assert browser.get("/ui/studies", follow_redirects=False).status_code == 303


def test_too_many_wrong_tokens_wait_on_both_doors(fresh: Site) -> None:
    for _ in range(MAX_FAILED_PER_MINUTE):
        fresh.client.get("/v1/studies", headers={"Authorization": f"Bearer {_WRONG}"})
    answer = fresh.client.post("/ui/sign-in", headers=OWN, data={"token": _WRONG})
    assert answer.status_code == 429
    assert "Too many wrong tokens" in answer.text
    # Nobody with a valid token is shut out by a neighbour.
    assert fresh.reader.get("/ui/studies").status_code == 200
    assert fresh.client.get("/v1/studies", headers={"Authorization": f"Bearer {_WRONG}"}).status_code == 429


def test_a_revoked_token_signs_out_politely(site: Site) -> None:
    person = site.person("read")
    assert person.get("/ui/studies").status_code == 200
    tokens.revoke(site.context, person.token_id)
    site.client.app.state.shared.token_cache.forget(person.token_id)  # type: ignore[attr-defined]
    answer = person.get("/ui/studies?name=a")
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/ui/sign-in?next=%2Fui%2Fstudies%3Fname%3Da&ended=1"
    assert f'{COOKIE}=""' in answer.headers["Set-Cookie"]
    assert "session has ended" in site.client.get(answer.headers["Location"]).text
    part = person.part("/ui/studies")
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/ui/sign-in?ended=1")
    assert "Set-Cookie" not in part.headers  # so that the page that is loaded next can say why
    data = person.get("/ui/studies", Accept="application/json")
    assert (data.status_code, data.json()["code"]) == (401, "auth.required")


def test_the_token_is_in_no_page(site: Site) -> None:
    for address in ("/ui/studies", "/ui/studies/new", "/ui/studies/new?builtin=iris", "/ui/fleet", "/ui/datasets",
                    "/ui/tokens", "/ui/nothing", "/ui/studies/nothing"):  # fmt: skip
        answer = site.admin.get(address)
        assert site.admin.token not in answer.text + str(answer.headers), address


@pytest.mark.parametrize(("accept", "status"), [("text/html,*/*", 303), ("application/json", 404), ("*/*", 404)])
def test_the_front_door(site: Site, accept: str, status: int) -> None:
    answer = site.client.get("/", headers={"Accept": accept}, follow_redirects=False)
    assert answer.status_code == status
    if status == 404:
        assert answer.json()["code"] == "route.not_found"
    assert site.client.get("/ui", follow_redirects=False).headers["Location"] == "/ui/studies"


def test_a_person_without_the_right_sees_no_buttons(site: Site) -> None:
    for person, buttons in ((site.reader, False), (site.author, True)):
        text = person.get("/ui/studies").text
        assert ('href="/ui/studies/new"' in text) == buttons
    assert "/ui/tokens" not in site.author.get("/ui/studies").text
    assert "/ui/tokens" in site.admin.get("/ui/studies").text


def test_addresses_of_the_sign_in_page() -> None:
    assert session.sign_in_address("/ui/studies", ended=False) == "/ui/sign-in"
    assert session.sign_in_address("/v1/x", ended=True) == "/ui/sign-in?ended=1"


def test_people_have_scopes(site: Site) -> None:
    assert isinstance(site.people["worker"], Person)
    assert site.people["worker"].get("/ui/studies").status_code == 403
