"""Refusals and broken connections become the errors of hpsearch, each with one clear sentence."""

from __future__ import annotations

import socket
from typing import Any

import httpx2
import pytest

from hpsearch import errors
from hpsearch.client import Backoff, Client, repeat
from tests.client.answers import S1, STUDY, Recorder, problem


def error_of(answer: Any, **options: Any) -> errors.HpsearchError:
    with Recorder(answer).client(**options) as client, pytest.raises(errors.HpsearchError) as caught:
        client.studies.get(S1)
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "request.invalid", errors.InvalidInputError),
        (422, "study.invalid", errors.InvalidStudyError),
        (422, "point.too_many_weights", errors.InvalidStudyError),
        (422, "dataset.invalid", errors.InvalidDatasetError),
        (422, "something.new", errors.InvalidInputError),
        (401, "auth.required", errors.UnauthenticatedError),
        (403, "auth.missing_scope", errors.ForbiddenError),
        (404, "study.not_found", errors.NotFoundError),
        (409, "study.state", errors.ConflictError),
        (409, "trial.stale_attempt", errors.StaleAttemptError),
        (409, "trial.result_conflict", errors.ResultConflictError),
        (413, "upload.too_large", errors.LimitError),
        (429, "limit.reached", errors.LimitError),
        (500, "server.error", errors.UnavailableError),
        (503, "server.unavailable", errors.UnavailableError),
    ],
)
def test_problems_become_errors(status: int, code: str, kind: type[errors.HpsearchError]):
    error = error_of(lambda _r: problem(status, code, "received 7, expected 8", hint=[1]))
    assert type(error) is kind
    assert error.code == code
    assert error.message == "received 7, expected 8"
    if status < 500:
        assert error.details["hint"] == [1]


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"[1]", b"\xff", b'{"detail": 7}', b"[" * 5000])
def test_refusals_without_a_problem_document_name_the_server(body: bytes):
    error = error_of(lambda _r: httpx2.Response(502, content=body))
    assert isinstance(error, errors.UnavailableError)
    assert "http://server.test:8000" in error.message
    assert "502" in error.message


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [
        ({"Retry-After": "7"}, 7, 7),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 1e9, 1e12),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0, 0),
        ({"Retry-After": "soon"}, 1, 1),
        ({}, 1, 1),
    ],
)
def test_the_wait_the_server_asks_for_is_known(header: dict[str, str], low: float, high: float):
    unavailable = error_of(lambda _r: problem(503, "server.unavailable", headers=header))
    assert isinstance(unavailable, errors.UnavailableError)
    assert low <= unavailable.retry_after_s <= high
    limited = error_of(lambda _r: problem(429, "limit.reached", headers=header))
    assert low <= float(str(limited.details["retry_after_s"])) <= high


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_never_followed(status: int):
    recorder = Recorder(lambda _r: httpx2.Response(status, headers={"Location": f"http://evil.test/v1/studies/{S1}"}))
    with recorder.client() as client, pytest.raises(errors.HpsearchError, match="redirects are not followed") as caught:
        client.studies.get(S1)
    assert caught.value.code == "server.redirect"
    assert [request.url.host for request in recorder.requests] == ["server.test"]


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'{"study_id": NaN}'])
def test_answers_of_another_kind_of_server_are_told(body: bytes):
    error = error_of(lambda _r: httpx2.Response(200, content=body))
    assert error.code == "server.not_understood"
    assert "http://server.test:8000" in error.message


def test_an_unreachable_server_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", "t") as client, pytest.raises(errors.UnavailableError) as caught:
        client.studies.get(S1)
    assert f"http://127.0.0.1:{port} can not be reached" in caught.value.message


@pytest.mark.parametrize(
    "error",
    [httpx2.ConnectTimeout("x"), httpx2.ReadTimeout("x"), httpx2.ReadError("x"), httpx2.RemoteProtocolError("x")],
)
def test_every_fault_of_the_network_is_unavailability(error: Exception):
    def fail(_request: httpx2.Request) -> httpx2.Response:
        raise error

    assert isinstance(error_of(fail), errors.UnavailableError)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "server",
        "ftp://server",
        "http://",
        "http://user:pw@host",
        "http://h/?a=1",
        "http://[x",
        "http://h:99999",
        "file:///etc",
    ],
)
def test_addresses_that_can_not_be_used(url: str):
    with pytest.raises(errors.InvalidInputError, match="http://host:port") as caught:
        Client(url, "t")
    assert caught.value.code == "server.bad_url"


@pytest.mark.parametrize("token", ["", "a b", "a\nb", "tökén", "a\x00"])
def test_tokens_that_can_not_be_sent(token: str):
    with pytest.raises(errors.InvalidInputError) as caught:
        Client("http://server.test", token)
    assert caught.value.code == "auth.bad_token"
    assert token == "" or token not in caught.value.message


@pytest.mark.parametrize("bad", [float("nan"), {1}, b"x"])
def test_values_json_can_not_hold_are_refused_here(bad: Any):
    with Recorder(STUDY).client() as client, pytest.raises(errors.InvalidInputError):
        client.studies.create({"name": bad})


def test_empty_ids_are_refused_here():
    recorder = Recorder(STUDY)
    with recorder.client() as client:
        for bad in ("", ".", ".."):
            with pytest.raises(errors.InvalidInputError):
                client.studies.get(bad)
    assert recorder.requests == []


class TestRepeating:
    @staticmethod
    def flaky(n_failures: int) -> Recorder:
        answers = iter([problem(503, "server.unavailable", headers={"Retry-After": "0"})] * n_failures)
        return Recorder(lambda _r: next(answers, None) or httpx2.Response(200, json=STUDY))

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(Backoff, "next_s", lambda _self, asked_s=0.0: asked_s / 1000)

    def test_never_unless_asked(self):
        recorder = self.flaky(1)
        with recorder.client() as client, pytest.raises(errors.UnavailableError):
            client.studies.get(S1)
        assert len(recorder.requests) == 1

    def test_requests_safe_to_repeat_are_repeated_when_asked(self):
        recorder = self.flaky(2)
        with recorder.client(attempts=3) as client:
            assert client.studies.get(S1).study_id == S1
            assert client.studies.cancel(S1).study_id == S1
        assert len(recorder.requests) == 4

    def test_a_study_is_only_created_twice_when_a_key_makes_it_one(self):
        recorder = self.flaky(1)
        with recorder.client(attempts=3) as client:
            with pytest.raises(errors.UnavailableError):
                client.studies.create({})
            client.studies.create({}, idempotency_key="k")
        assert len(recorder.requests) == 2

    def test_refusals_are_final(self):
        recorder = Recorder(lambda _r: problem(413, "upload.too_large"))
        with recorder.client(attempts=5) as client, pytest.raises(errors.LimitError):
            client.studies.get(S1)
        assert len(recorder.requests) == 1

    def test_a_limit_with_a_wait_is_waited_out(self):
        answers = iter([problem(429, "limit.reached", headers={"Retry-After": "1"})])
        recorder = Recorder(lambda _r: next(answers, None) or httpx2.Response(200, json=STUDY))
        with recorder.client(attempts=2) as client:
            assert client.studies.get(S1)


class TestBackoff:
    def test_waits_grow_from_half_a_second_to_half_a_minute_with_jitter(self):
        backoff = Backoff()
        waits = [backoff.next_s() for _ in range(12)]
        ceilings = [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 30]
        assert all(top / 2 <= wait <= top for wait, top in zip(waits, ceilings, strict=True))
        assert len(set(waits)) == len(waits)
        backoff.reset()
        assert backoff.next_s() <= 0.5

    def test_what_the_server_asks_for_is_a_floor_up_to_a_cap(self):
        assert Backoff().next_s(45.0) == 45.0
        assert Backoff().next_s(1e9) == 300.0

    def test_it_does_not_overflow_after_a_year(self):
        backoff = Backoff()
        backoff.n_failures = 10**7
        assert backoff.next_s() <= 30

    def test_repeat_gives_up_with_the_last_error(self):
        calls, waits = [], []

        def call() -> None:
            calls.append(1)
            message = f"call {len(calls)}"
            raise errors.UnavailableError(message, retry_after_s=7.0)

        with pytest.raises(errors.UnavailableError, match="call 3"):
            repeat(call, attempts=3, sleep=waits.append)
        assert waits == [7.0, 7.0]
        with pytest.raises(ValueError, match="at least 1"):
            repeat(call, attempts=0)
