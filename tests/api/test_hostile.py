"""Hostile requests: refused with the right status, quickly, and never with a 5xx."""

from __future__ import annotations

import errno
import json
import os
import time
from typing import Any

import pytest

from hpsearch.errors import HpsearchError, UnavailableError
from tests.api.conftest import InProcessApi

_ID = "01a1fcaa-8692-752e-b261-aadb553fcee8"
_STUDY: dict[str, Any] = {
    "name": "x",
    "dataset": {"builtin": "iris"},
    "space": {
        "units": {"type": "int", "low": 1, "high": 8},
        "learning_rate": {"type": "float", "low": 0.001, "high": 0.1},
    },
    "budget": {"max_trials": 1},
}
_BODY_ROUTES = [
    ("POST", "/v1/studies"),
    ("POST", "/v1/studies/validate"),
    ("POST", "/v1/studies/preview"),
    ("PATCH", f"/v1/studies/{_ID}"),
    ("POST", f"/v1/studies/{_ID}/extend"),
    ("POST", f"/v1/studies/{_ID}/clone"),
    ("POST", f"/v1/studies/{_ID}/trials"),
    ("POST", "/v1/workers"),
    ("POST", f"/v1/workers/{_ID}/claims"),
    ("POST", f"/v1/workers/{_ID}/reports"),
    ("POST", "/v1/tokens"),
]
_BODIES: dict[str, tuple[bytes, set[int]]] = {
    "cut off": (b'{"name": ', {400}),
    "not utf-8": (b'{"name": "\xff"}', {400}),
    "utf-16": ('{"name": "x"}'.encode("utf-16"), {400}),
    "nan": (b'{"name": NaN}', {422}),
    "infinity": (b'{"priority": Infinity}', {422}),
    "1e400": (b'{"priority": 1e400}', {422}),
    "twice": (b'{"name": "a", "name": "b"}', {422}),
    "deep": (b"[" * 100_000 + b"]" * 100_000, {400}),
    "deep object": (b'{"name":' * 50_000 + b"1" + b"}" * 50_000, {400}),
    "digits": (b'{"max_trials": ' + b"7" * 5_000 + b"}", {422}),
    "array": (b"[]", {422}),
    "null": (b"null", {422}),
    "string": (b'"x"', {422}),
    "number": (b"7", {422}),
    "unknown field": (b'{"name": "x", "state": "COMPLETE", "owner": "me", "attempt": 99}', {200, 422}),
    "lone surrogate": (b'{"name": "\\ud800", "claim_id": "\\ud800"}', {200, 422}),
    "lone surrogate key": (b'{"\\udfff": 1}', {200, 422}),
    "nul": (b'{"name": "a\\u0000b", "claim_id": "\\u0000"}', {200, 422}),
    "ansi": (b'{"name": "\\u001b[31mred", "claim_id": "\\u001b"}', {200, 422}),
    "empty": (b"", {201, 400, 404, 422}),
    "spaces": (b"   ", {400, 404, 422}),
    "many errors": (b"{" + b",".join(b'"k%d": 1' % i for i in range(20_000)) + b"}", {200, 422}),
}


@pytest.mark.parametrize("body", _BODIES)
@pytest.mark.parametrize(("method", "path"), _BODY_ROUTES)
def test_bodies(shared_api: InProcessApi, method: str, path: str, body: str) -> None:
    content, expected = _BODIES[body]
    begun = time.perf_counter()
    answer = shared_api.client.request(
        method, path, content=content, headers=shared_api.admin | {"Content-Type": "application/json"}
    )
    assert time.perf_counter() - begun < 2
    assert answer.status_code in expected, answer.text[:300]
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        document = answer.json()
        assert document["status"] == answer.status_code
        assert len(answer.content) < 50_000
        assert "Traceback" not in answer.text
    elif answer.status_code == 200:
        assert path.endswith(("/validate", "/preview"))
        assert answer.json()["valid"] is False


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "x",
    ],
)
@pytest.mark.parametrize(("method", "path"), [route for route in _BODY_ROUTES if not route[1].endswith("/clone")])
def test_content_types(shared_api: InProcessApi, method: str, path: str, content_type: str | None) -> None:
    headers = shared_api.admin | ({} if content_type is None else {"Content-Type": content_type})
    assert shared_api.client.request(method, path, content=b'{"name": "x"}', headers=headers).status_code == 415


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON;charset=UTF-8",
        "application/problem+json",
    ],
)
def test_content_types_taken(shared_api: InProcessApi, content_type: str) -> None:
    headers = shared_api.admin | {"Content-Type": content_type}
    assert shared_api.client.post("/v1/studies/validate", content=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"budget": {"max_trials": "7"}},
        {"budget": {"max_trials": True}},
        {"budget": {"max_trials": 3.0}},
        {"budget": {"max_trials": 2**63}},
        {"budget": {"max_trials": -1}},
        {"budget": {"max_trials": 10**12}},
        {"space": {"units": {"type": "int", "low": 1, "high": 10**12}}},
        {"space": {"layers": -1}},
        {"space": {"batch_size": 0}},
        {"space": {"units": {"type": "int", "low": 9, "high": 1}}},
        {"space": {"learning_rate": {"type": "float", "low": 0, "high": 1, "log": True}}},
        {"space": {"units": {"type": "int", "low": 1, "high": 9, "steps": 0}}},
        {"space": {"activation": {"type": "categorical", "choices": []}}},
        {"space": {"units": {"type": "categorical", "choices": list(range(1, 100_001))}}},
        {"space": {"activation": "__import__('os')"}},
        {"space": {"optimizer": {"type": "categorical", "choices": ["adam", "os.system"]}}},
        {"space": {"units": {"type": "int", "low": 1, "high": 8, "when": {"units": [1]}}}},
        {"dataset": {"url": "http://169.254.169.254/"}},
        {"dataset": {"builtin": "file:///etc/passwd"}},
        {"dataset": {"id": "\\\\host\\x"}},
        {"name": "x" * 201},
        {"name": "a\nb"},
        {
            "algorithm": {"kind": "grid"},
            "space": {
                "units": {"type": "int", "low": 1, "high": 10_000, "steps": 10_000},
                "batch_size": {"type": "int", "low": 1, "high": 10_000, "steps": 10_000},
                "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "steps": 10_000},
            },
        },
    ],
    ids=lambda change: json.dumps(change)[:60],
)
def test_impossible_studies(shared_api: InProcessApi, change: dict[str, Any]) -> None:
    # The first look at a built-in data set imports what makes it.
    assert shared_api.client.post("/v1/studies/validate", json=_STUDY, headers=shared_api.admin).json()["valid"] is True
    begun = time.perf_counter()
    answer = shared_api.client.post("/v1/studies", json=_STUDY | change, headers=shared_api.admin)
    assert answer.status_code in (422, 404), answer.text
    assert answer.json()["code"].startswith(("study.", "dataset."))
    checked = shared_api.client.post("/v1/studies/validate", json=_STUDY | change, headers=shared_api.admin)
    assert checked.status_code == 200
    assert checked.json()["valid"] is False
    assert checked.json()["errors"][0]["message"]
    assert time.perf_counter() - begun < 3
    assert shared_api.client.get("/v1/studies", headers=shared_api.admin).json()["items"] == []


@pytest.mark.parametrize(
    "outcome",
    [
        {"state": "COMPLETE", "value": 7.5, "metrics": {"accuracy": "1"}},
        {"state": "COMPLETE"},
        {"state": "DONE", "value": 1.0},
        {"state": "COMPLETE", "value": 0.5, "device_seconds": -1.0},
        {"state": "COMPLETE", "value": 0.5, "metrics": {"x" * 1_000_000: 1.0}},
        {"state": "COMPLETE", "value": 0.5, "metrics": {f"m{i}": 1.0 for i in range(65)}},
        {"state": "COMPLETE", "value": 0.5, "best_epoch": 2**63},
        {"state": "FAILED", "cause": "rm -rf"},
        {"state": "FAILED", "detail": "a\x00b"},
    ],
    ids=lambda outcome: json.dumps(outcome)[:50],
)
def test_impossible_outcomes(shared_api: InProcessApi, outcome: dict[str, Any]) -> None:
    body = {"reports": [{"trial_id": _ID, "attempt": 1, "outcome": outcome}]}
    assert shared_api.client.post(f"/v1/workers/{_ID}/reports", json=body, headers=shared_api.admin).status_code == 422


@pytest.mark.parametrize(
    "report",
    [
        {"reports": []},
        {"reports": [{"trial_id": _ID, "attempt": 0}]},
        {"reports": [{"trial_id": _ID, "attempt": 1}] * 1025},
        {"reports": [{"trial_id": _ID, "attempt": 1, "measurements": [{"epoch": 1, "metrics": {}}] * 1001}]},
        {"reports": [{"trial_id": _ID, "attempt": 1, "measurements": [{"epoch": 0, "metrics": {}}]}]},
        {"reports": [{"trial_id": _ID, "attempt": 1, "state": "COMPLETE"}]},
    ],
    ids=["none", "attempt 0", "1025 reports", "1001 measurements", "epoch 0", "unknown field"],
)
def test_report_caps(shared_api: InProcessApi, report: dict[str, Any]) -> None:
    assert (
        shared_api.client.post(f"/v1/workers/{_ID}/reports", json=report, headers=shared_api.admin).status_code == 422
    )


_TEXTS = ["'; DROP TABLE study;--", "{{7*7}}", "${jndi:ldap://x}", "<script>alert(1)</script>", "=cmd()", "a%00b", "💥"]


@pytest.mark.parametrize("text", _TEXTS)
def test_odd_texts_are_only_texts(shared_api: InProcessApi, text: str) -> None:
    made = shared_api.client.post("/v1/tokens", json={"name": text, "scopes": ["read"]}, headers=shared_api.admin)
    assert made.status_code == 201
    assert made.json()["name"] == text
    assert shared_api.client.get("/v1/studies", params={"name": text}, headers=shared_api.admin).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1000000000",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=" + "9" * 5_000,
        "limit=NaN",
        "page_token=x",
        "page_token=" + "A" * 5_000,
        "page_token=%00",
        "page_token=AAAA",
        "page_token=%ff",
        "page_token=W10",
        "page_token=WzFd",
        "state=DONE",
        "state=%00",
        "name=%00",
        "name=",
        "name=%ed%a0%80",
        "sort=value",
        "unknown=1",
        "access_token=hps_x",
        "a%00b=1",
    ],
)
def test_query_parameters_of_a_list(shared_api: InProcessApi, query: str) -> None:
    answer = shared_api.client.get(f"/v1/studies?{query}", headers=shared_api.admin)
    assert answer.status_code == 422 or (answer.status_code == 200 and query == "name=%ed%a0%80")
    if answer.status_code == 422 and answer.json()["code"] != "page_token.invalid":
        assert answer.json()["errors"][0]["field"]


@pytest.mark.parametrize("query", ["sort=id;--", "sort=number%20desc", "order=up", "kind=x", "state=RUNNING'"])
def test_sort_and_filters_are_enumerations(shared_api: InProcessApi, query: str) -> None:
    assert shared_api.client.get(f"/v1/studies/{_ID}/trials?{query}", headers=shared_api.admin).status_code == 422


@pytest.mark.parametrize(
    "path", ["%00", "a%2Fb", "..%2f..%2fetc", "%ff%fe", "x" * 5_000, "'", "%ed%a0%80", "a%0ab", "*"]
)
@pytest.mark.parametrize("prefix", ["/v1/studies/", "/v1/trials/", "/v1/datasets/", "/v1/workers/"])
def test_ids_that_can_not_be(shared_api: InProcessApi, prefix: str, path: str) -> None:
    answer = shared_api.client.get(prefix + path, headers=shared_api.admin)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "OPTIONS", "HEAD", "PUT", "BREW"])
def test_unknown_methods(shared_api: InProcessApi, method: str) -> None:
    answer = shared_api.client.request(method, "/v1/studies", headers=shared_api.admin)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\tkey", "ümlaut".encode("latin-1")])
def test_idempotency_keys(shared_api: InProcessApi, key: str | bytes) -> None:
    raw = {name.encode(): value.encode() for name, value in shared_api.admin.items()}
    raw[b"Idempotency-Key"] = key if isinstance(key, bytes) else key.encode()
    answer = shared_api.client.post("/v1/studies", json=_STUDY, headers=raw)
    assert answer.status_code == 422
    assert "idempotency-key" in answer.json()["errors"][0]["field"].lower()


def test_an_announced_body_above_the_cap_is_not_read(shared_api: InProcessApi) -> None:
    headers = shared_api.admin | {"Content-Type": "application/json", "Content-Length": str(2**40)}
    answer = shared_api.client.post("/v1/studies", content=b"{}", headers=headers)
    assert answer.status_code == 413
    assert answer.json()["code"] == "body.too_large"


def test_a_body_without_length_is_cut_at_the_cap(shared_api: InProcessApi) -> None:
    sent = 0

    def pour() -> Any:
        nonlocal sent
        for _ in range(64):
            sent += 2**20
            yield b" " * 2**20

    answer = shared_api.client.post(
        "/v1/studies", content=pour(), headers=shared_api.admin | {"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


def test_a_form_of_a_million_fields_is_not_even_read(shared_api: InProcessApi) -> None:
    body = b"&".join(b"a%d=1" % i for i in range(1_000_000))
    headers = shared_api.admin | {"Content-Type": "application/x-www-form-urlencoded"}
    assert shared_api.client.post("/v1/studies", content=body, headers=headers).status_code in (413, 415)


def test_nobody_is_listened_to_before_showing_a_token(shared_api: InProcessApi) -> None:
    """A stranger's body is not parsed: the answer is 401 whatever it holds."""
    for content in (b"[" * 100_000, b"\xff", b"{}"):
        assert shared_api.client.post("/v1/studies", content=content).status_code == 401


def test_unexpected_errors_hide_their_text(
    shared_api: InProcessApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: object) -> None:
        msg = "the secret is in /etc/shadow"
        raise RuntimeError(msg)

    monkeypatch.setattr("hpsearch.service.studies.crud.get", explode)
    answer = shared_api.client.get(f"/v1/studies/{_ID}", headers=shared_api.admin | {"X-Request-ID": "find-me"})
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "server.unexpected"
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == "find-me"
    assert "find-me" in caplog.text
    assert "secret" in caplog.text


def test_a_database_that_is_away_is_a_503(shared_api: InProcessApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        msg = "the database does not answer"
        raise UnavailableError(msg)

    monkeypatch.setattr("hpsearch.service.studies.crud.get", away)
    answer = shared_api.client.get(f"/v1/studies/{_ID}", headers=shared_api.admin)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EIO, 500)])
def test_a_full_disk_is_a_507(
    shared_api: InProcessApi, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/data/secret/path")

    monkeypatch.setattr("api.request_bodies.multipart.UploadForm.feed", full)
    answer = shared_api.client.post("/v1/datasets", files={"file": ("a.csv", b"a,b\n")}, headers=shared_api.admin)
    assert answer.status_code == status
    assert "secret" not in answer.text
    assert ("Retry-After" in answer.headers) == (status == 507)


def test_an_error_of_the_core_without_a_status_is_a_500(
    shared_api: InProcessApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: object) -> None:
        msg = "internal words"
        raise HpsearchError(msg)

    monkeypatch.setattr("hpsearch.service.studies.crud.get", odd)
    answer = shared_api.client.get(f"/v1/studies/{_ID}", headers=shared_api.admin)
    assert answer.status_code == 500
    assert "internal words" not in answer.text
