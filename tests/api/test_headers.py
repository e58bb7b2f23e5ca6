"""What every answer carries, and which Host names are answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from api.app import create_app
from api.middleware.host_and_body_limits import HostAndBodyLimits
from api.request_scope import REQUEST_ID
from hpsearch.errors import InvalidInputError
from hpsearch.settings import Settings
from tests.api.conftest import InProcessApi

_PATHS = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/docs/start.js",
    "/openapi.json",
    "/v1/studies",
    "/nothing",
    "/v1/studies/%00",
]


@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("signed_in", [True, False])
def test_security_headers_are_on_every_answer(shared_api: InProcessApi, path: str, signed_in: bool) -> None:
    answer = shared_api.client.get(path, headers=shared_api.admin if signed_in else {})
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy  # so that default-src holds: no inline scripts anywhere
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"]
    assert len(answer.headers.get_list("X-Request-ID")) == 1


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_no_other_origin_is_let_in(shared_api: InProcessApi, method: str) -> None:
    headers = {"Origin": "https://evil.test", "Access-Control-Request-Method": "POST"}
    answer = shared_api.client.request(method, "/v1/studies", headers=shared_api.admin | headers)
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-DEF_1.2", True), ("x" * 64, True), ("x" * 65, False), ("", False), ("a b", False), ("a\x1b[31m", False)],
)
def test_request_ids(shared_api: InProcessApi, given: str, kept: bool) -> None:
    answer = shared_api.client.get("/healthz", headers={b"X-Request-ID": given.encode()})
    assert (answer.headers["X-Request-ID"] == given) == kept
    assert answer.headers["X-Request-ID"]


_HOSTS = [
    ("127.0.0.1", "127.0.0.1:8000", 200),
    ("127.0.0.1", "localhost", 200),
    ("127.0.0.1", "LOCALHOST:1", 200),
    ("127.0.0.1", "[::1]:8000", 200),
    ("127.0.0.1", "evil.test", 400),
    ("127.0.0.1", "evil.test:8000", 400),
    ("127.0.0.1", "127.0.0.1.evil.test", 400),
    ("127.0.0.1", "localhost.evil.test", 400),
    ("::1", "evil.test", 400),
    ("127.0.0.1", "x/abc?", 400),
    ("127.0.0.1", "localhost/..", 400),
    ("127.0.0.1", "user@localhost", 400),
    ("127.0.0.1", "localhost#", 400),
    ("127.0.0.1", "", 400),
    ("127.0.0.1", "localhost:99999999", 400),
    ("127.0.0.1", "local host", 400),
    ("10.1.2.3", "search.example.org", 200),
    ("10.1.2.3", "10.1.2.3:8000", 200),
    ("10.1.2.3", "x/abc?", 400),
    ("10.1.2.3", "[::1", 400),
]


async def _answer(app: HostAndBodyLimits, server: str | None, hosts: list[bytes]) -> int:
    statuses: list[int] = []

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"host", host) for host in hosts],
        "server": None if server is None else (server, 8000),
        REQUEST_ID: "x",
    }
    await app(scope, receive, send)  # type: ignore[arg-type]
    return statuses[0]


async def _fine(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(("server", "host", "status"), _HOSTS)
def test_hosts(server: str, host: str, status: int) -> None:
    import anyio

    assert anyio.run(_answer, HostAndBodyLimits(_fine), server, [host.encode()]) == status


@pytest.mark.parametrize(
    ("hosts", "server", "status"),
    [
        ([], "10.1.2.3", 400),
        ([b"localhost", b"localhost"], "127.0.0.1", 400),
        ([b"x"], None, 200),
        ([b"x"], "/run/socket", 200),
    ],
)
def test_host_headers_must_be_one(hosts: list[bytes], server: str | None, status: int) -> None:
    import anyio

    assert anyio.run(_answer, HostAndBodyLimits(_fine), server, hosts) == status


@pytest.mark.parametrize(
    ("listed", "host", "status"),
    [
        (["search.example.org"], "search.example.org", 200),
        (["search.example.org"], "SEARCH.example.org:443", 200),
        (["search.example.org"], "evil.test", 400),
        (["search.example.org"], "localhost", 200),
        (["*"], "evil.test", 200),
        ([" a.test "], "a.test", 200),
    ],
)
def test_listed_hosts(listed: list[str], host: str, status: int) -> None:
    import anyio

    for server in ("127.0.0.1", "10.1.2.3"):
        assert anyio.run(_answer, HostAndBodyLimits(_fine, listed), server, [host.encode()]) == status


def test_listed_hosts_come_from_the_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPSEARCH_ALLOWED_HOSTS", "search.example.org, other.test")
    app: FastAPI = create_app(settings)
    with TestClient(app, base_url="http://other.test") as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/healthz", headers={"Host": "evil.test"}).status_code == 400


def test_the_documentation_needs_no_other_host(shared_api: InProcessApi) -> None:
    page = shared_api.client.get("/docs").text
    assert "http:" not in page
    assert "https:" not in page
    assert "<script>" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png", "start.js"):
        assert f"/docs/{asset}" in page
        answer = shared_api.client.get(f"/docs/{asset}")
        assert answer.status_code == 200
        assert len(answer.content) > 100
    assert shared_api.client.get("/docs/nothing.js").status_code == 404
    assert shared_api.client.get("/docs/..%2f..%2fcore.py").status_code == 404


def test_figures_name_routes_and_nothing_a_client_chose(shared_api: InProcessApi) -> None:
    shared_api.client.get("/v1/studies/chosen-by-me", headers=shared_api.admin)
    shared_api.client.request("BREW", "/chosen-by-me")
    text = shared_api.client.get("/metrics", headers=shared_api.headers["read"]).text
    assert 'hpsearch_http_requests_total{method="GET",route="/v1/studies/{study_id}",status="404"}' in text
    assert 'method="OTHER",route="unmatched",status="404"' in text
    assert "hpsearch_event_streams 0.0" in text
    assert "chosen-by-me" not in text


def test_health_and_readiness(shared_api: InProcessApi, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shared_api.client.get("/healthz").json() == {"status": "ok"}
    assert shared_api.client.get("/readyz").json() == {"ready": True, "checks": {"database": True, "disk": True}}
    monkeypatch.setattr("hpsearch.service.operations.health.ready", lambda _: {"database": False, "disk": True})
    answer = shared_api.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": False, "disk": True}
    assert "Retry-After" in answer.headers


def test_the_application_is_made_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `uvicorn api.app:create_app --factory` makes it."""
    monkeypatch.setenv("HPSEARCH_DATA_DIR", str(tmp_path / "here"))
    with TestClient(create_app()) as client:
        assert client.get("/readyz").status_code == 200
    assert (tmp_path / "here" / "hpsearch.sqlite3").exists()
    monkeypatch.setenv("HPSEARCH_LEASE_S", "soon")
    with pytest.raises(InvalidInputError, match="HPSEARCH_LEASE_S"):
        create_app()
