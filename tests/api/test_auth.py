"""Signing in: where tokens are looked for, how guessing is slowed down, what a revoked token can do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from api.errors.problem_documents import ProblemError
from api.limits.failed_logins import MAX_FAILED_PER_MINUTE, FailedLogins
from hpsearch.clock import ManualClock
from hpsearch.service import tokens
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from hpsearch.wire.tokens import TokenRequest
from tests.api.conftest import InProcessApi, bearer_of


def _wrong(n: int) -> dict[str, str]:
    return {"Authorization": f"Bearer hps_{n:016x}_{'A' * 43}"}


def _fill(client: TestClient, **headers: str) -> None:
    statuses = [
        client.get("/v1/studies", headers=_wrong(n) | headers).status_code for n in range(MAX_FAILED_PER_MINUTE)
    ]
    assert statuses == [401] * MAX_FAILED_PER_MINUTE


def test_wrong_tokens_are_slowed_down_but_good_ones_are_not(local: InProcessApi) -> None:
    _fill(local.client)
    refused = local.client.get("/v1/studies", headers=_wrong(0) | {"X-Forwarded-For": "10.0.0.1"})
    assert (refused.status_code, refused.json()["code"]) == (429, "auth.too_many_attempts")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    # This server has not seen the token before, as after a restart: everybody behind one proxy must get through.
    assert local.client.get("/v1/studies", headers=local.admin).status_code == 200
    assert local.client.get("/v1/studies").status_code == 401


def test_a_trusted_proxy_tells_who_is_behind_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, trusted_proxies="10.0.0.0/8, 192.0.2.7")  # type: ignore[arg-type]
    with TestClient(create_app(settings), client=("10.1.2.3", 5)) as client:
        _fill(client, **{"X-Forwarded-For": "198.51.100.1, 192.0.2.7"})
        assert client.get("/v1/studies", headers=_wrong(0) | {"X-Forwarded-For": "198.51.100.1"}).status_code == 429
        assert client.get("/v1/studies", headers=_wrong(0) | {"X-Forwarded-For": "198.51.100.2"}).status_code == 401
        # What a client writes itself stands before what the proxy adds.
        claimed = _wrong(0) | {"X-Forwarded-For": "203.0.113.9, 198.51.100.1"}
        assert client.get("/v1/studies", headers=claimed).status_code == 429


def test_other_addresses_are_unaffected() -> None:
    failed_logins = FailedLogins()
    for _ in range(MAX_FAILED_PER_MINUTE):
        failed_logins.count("2001:db8::1")
    with pytest.raises(ProblemError):
        failed_logins.count("2001:db8::2")  # a client has the whole network
    failed_logins.count("2001:db8:0:1::1")
    failed_logins.count("10.0.0.2")


def test_figures_want_a_token(local: InProcessApi) -> None:
    assert local.client.get("/metrics").status_code == 401
    assert local.client.get("/metrics", headers=local.headers["worker"]).status_code == 403
    assert local.client.get("/metrics", headers=local.headers["read"]).status_code == 200


def test_checking_a_study_wants_the_right_to_create_one(local: InProcessApi) -> None:
    """It makes a data set of a generated one, and works as hard."""
    study = {"name": "x", "dataset": {"generated": "moons"}, "space": {"units": {"type": "int", "low": 1, "high": 8}}}
    for verb in ("validate", "preview"):
        answer = local.client.post(f"/v1/studies/{verb}", json=study, headers=local.headers["read"])
        assert answer.status_code == 403
    assert local.client.get("/v1/datasets", headers=local.admin).json()["items"] == []


def test_a_token_in_the_query_or_a_cookie_is_nobody(shared_api: InProcessApi, caplog: pytest.LogCaptureFixture) -> None:
    raw = tokens.create(shared_api.context, TokenRequest(name="x", scopes=("admin",))).token
    with caplog.at_level(logging.DEBUG):
        for query in (f"?token={raw}", f"?access_token={raw}"):
            assert shared_api.client.get(f"/v1/studies{query}").status_code == 401
        assert (
            shared_api.client.get("/v1/studies", headers={"Cookie": f"token={raw}; hpsearch={raw}"}).status_code == 401
        )
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx")]
    assert not any(raw in line for line in ours)


def test_two_authorization_headers_are_nobody(shared_api: InProcessApi) -> None:
    twice = [
        ("Authorization", shared_api.admin["Authorization"]),
        ("Authorization", shared_api.headers["read"]["Authorization"]),
    ]
    assert shared_api.client.get("/v1/studies", headers=httpx2.Headers(twice)).status_code == 401


@pytest.mark.parametrize("form", ["bearer {}", "BEARER {}", "Bearer  {}", "Bearer {} "])
def test_the_scheme_is_read_as_the_standard_says(shared_api: InProcessApi, form: str) -> None:
    raw = shared_api.admin["Authorization"].removeprefix("Bearer ")
    assert shared_api.client.get("/v1/studies", headers={"Authorization": form.format(raw)}).status_code == 200


def test_a_revoked_token_is_refused_at_once(service: InProcessApi) -> None:
    made = service.client.post("/v1/tokens", json={"name": "gone", "scopes": ["read"]}, headers=service.admin).json()
    mine = {"Authorization": f"Bearer {made['token']}"}
    assert service.client.get("/v1/studies", headers=mine).status_code == 200
    assert service.client.delete(f"/v1/tokens/{made['token_id']}", headers=service.admin).status_code == 204
    assert service.client.get("/v1/studies", headers=mine).status_code == 401
    listed = service.client.get("/v1/tokens", headers=service.admin)
    assert made["token"] not in listed.text
    assert made["token"].split("_", 2)[2] not in listed.text
    assert service.client.delete("/v1/tokens/nothing", headers=service.admin).status_code == 404


@pytest.fixture
def held(settings: Settings, manual_clock: ManualClock) -> Iterator[tuple[TestClient, Context, ManualClock]]:
    """An application in which time stands still."""
    context = Context.open(settings, clock=manual_clock)
    with TestClient(create_app(context=context)) as client:
        yield client, context, manual_clock
    context.close()


def test_a_token_expires(held: tuple[TestClient, Context, ManualClock]) -> None:
    client, context, clock = held
    admin = bearer_of(context, "admin")
    made = client.post("/v1/tokens", json={"name": "x", "scopes": ["read"], "expires_in_s": 60}, headers=admin).json()
    mine = {"Authorization": f"Bearer {made['token']}"}
    assert client.get("/v1/studies", headers=mine).status_code == 200
    clock.advance(61)
    assert client.get("/v1/studies", headers=mine).status_code == 401


def test_a_worker_can_not_speak_for_another_tokens_worker(local: InProcessApi) -> None:
    theirs = bearer_of(local.context, "worker")
    worker_id = local.client.post("/v1/workers", json={"name": "theirs"}, headers=theirs).json()["worker_id"]
    mine = local.headers["worker"]
    claim = local.client.post(f"/v1/workers/{worker_id}/claims", json={"claim_id": "1"}, headers=mine)
    report = {"reports": [{"trial_id": "x", "attempt": 1}]}
    reported = local.client.post(f"/v1/workers/{worker_id}/reports", json=report, headers=mine)
    assert (claim.status_code, reported.status_code) == (403, 403)
    assert local.client.post("/v1/workers/unknown/claims", json={"claim_id": "1"}, headers=mine).status_code == 404
