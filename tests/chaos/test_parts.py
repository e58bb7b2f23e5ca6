"""The parts of the chaos runs: a proxy that does what it says, a verdict that sees what went wrong."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from tests.chaos import verdict
from tests.chaos.places import Place
from tests.chaos.proxy import FaultProxy, Weather
from tests.chaos.replica import Replica, free_port
from tests.chaos.scene import Scene
from tests.chaos.table import Scenario, run
from tests.chaos.timeline import Execution, Timeline, quantile

WRITE = "/v1/workers/w/reports"


class _Echo:
    """A server that answers with the body it got, and counts."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        echo = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self._body()
                echo.seen[self.path] += 1
                if self.path.endswith("slow"):
                    time.sleep(1)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = b""
                while size := int(self.rfile.readline(), 16):
                    parts += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return parts

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass  # clients that hang up are part of the test

        self.http = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def echo() -> Iterator[_Echo]:
    server = _Echo()
    yield server
    server.stop()


@pytest.fixture
def proxy(echo: _Echo) -> Iterator[FaultProxy]:
    with FaultProxy(lambda: [free_port(), echo.port], random.Random(1)) as one:
        yield one


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=proxy.url, trust_env=False, timeout=10) as one:
        yield one


def test_in_fair_weather_the_proxy_passes_everything_on(client: httpx2.Client, echo: _Echo):
    large = random.Random(2).randbytes(300_000)
    for body in (b"", b"small", large, iter([b"in ", b"pieces"])):
        answer = client.post(WRITE, content=body)
        assert answer.status_code == 200
    assert answer.content == b"in pieces"
    assert client.post(WRITE, content=large).content == large
    assert client.get("/healthz").status_code == 200
    assert echo.seen == {WRITE: 5, "/healthz": 1}


def test_a_cut_answer_is_lost_after_the_request_was_processed(proxy: FaultProxy, client: httpx2.Client, echo: _Echo):
    proxy.weather = Weather(cut=1.0)
    with pytest.raises(httpx2.HTTPError):
        client.post(WRITE, content=b"x")
    assert (echo.seen[WRITE], proxy.struck["cut"]) == (1, 1)
    assert client.get("/v1/studies").status_code == 200  # only what workers write is struck


def test_a_doubled_request_arrives_twice_and_is_answered_once(proxy: FaultProxy, client: httpx2.Client, echo: _Echo):
    proxy.weather = Weather(double=1.0)
    assert client.post(WRITE, content=b"x").content == b"x"
    assert (echo.seen[WRITE], proxy.struck["double"]) == (2, 1)


def test_a_delayed_request_is_answered_later(proxy: FaultProxy, client: httpx2.Client, echo: _Echo):
    proxy.weather = Weather(delay=1.0, delay_s=0.3)
    for _ in range(4):
        assert client.post(WRITE, content=b"x").content == b"x"
    assert proxy.struck["delay"] == 4


def test_who_hangs_up_is_not_waited_for(proxy: FaultProxy, echo: _Echo):
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{proxy.url}/v1/workers/slow", content=b"x", trust_env=False, timeout=0.2)
    answer = httpx2.post(f"{proxy.url}{WRITE}", content=b"y", trust_env=False, timeout=5)
    assert answer.content == b"y"


def test_without_a_server_the_connection_ends_without_an_answer():
    with FaultProxy(lambda: [free_port()], random.Random(1)) as proxy, pytest.raises(httpx2.HTTPError):
        httpx2.post(f"{proxy.url}{WRITE}", content=b"x", trust_env=False)


def _execution(trial_id: int, attempt: int, worker: str, second: float, cause: str | None = None) -> Execution:
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    return Execution(trial_id, attempt, worker, start, None, "LOST" if cause else "COMPLETE", cause)


def test_the_time_from_a_kill_to_the_next_start_is_measured_for_first_losses():
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    timeline = Timeline(
        [
            _execution(1, 1, "killed", 0, "lost"),
            _execution(1, 2, "killed too", 4.5, "lost"),
            _execution(1, 3, "fine", 9),
            _execution(2, 1, "fine", 1, "lost"),
            _execution(2, 2, "fine", 5),
            _execution(3, 1, "killed", 2, "crashed"),
        ],
        Counter(),
        Counter(),
    )
    kills = {"killed": begin + timedelta(seconds=3), "killed too": begin + timedelta(seconds=5)}
    assert timeline.reclaims(kills) == [1.5]
    assert [one.trial_id for one in timeline.lost()] == [1, 1, 2]
    assert (quantile([], 0.99), quantile([3.0, 1.0, 2.0], 0.5)) == (0.0, 2.0)


def test_a_wrong_answer_or_a_defect_in_a_log_is_a_violation(tmp_path: Path, sqlite_url: str):
    scene = Scene(1, Place("sqlite", sqlite_url), tmp_path)
    replica = Replica(tmp_path / "log", tmp_path, None, {})
    scene.replicas.append(replica)
    lines = [
        {"event": "request", "method": "GET", "path": "/a", "status": 503},
        {"event": "request", "method": "GET", "path": "/b", "status": 500},
        {"event": "maintenance failed", "exception": [{"exc_type": "KeyError", "exc_value": "x"}]},
    ]
    replica.log.write_text("hpsearch is listening\n" + "".join(json.dumps(line) + "\n" for line in lines) + '{"cut')
    assert verdict._answered(scene) == [
        "I15: GET /b was answered with 500",
        "I15: a defect in the server's log: maintenance failed: KeyError: x",
    ]
    assert verdict.statuses(scene) == {"503": 1}


def test_a_run_whose_expectations_fail_or_that_breaks_off_has_not_passed(tmp_path: Path, sqlite_url: str):
    place = Place("sqlite", sqlite_url)

    def unlucky(scene: Scene) -> object:
        scene.expect(False, "the fault strikes")
        return lambda timeline: scene.expect(bool(timeline.executions), "something is executed")

    report = run(Scenario("unlucky", unlucky), Scene(1, place, tmp_path))  # type: ignore[arg-type]
    assert report.complaints == ["expected: the fault strikes", "expected: something is executed"]
    assert not report.passed

    def broken(scene: Scene) -> object:
        raise ValueError(scene.seed)

    report = run(Scenario("broken", broken), Scene(1, place, tmp_path))  # type: ignore[arg-type]
    assert report.complaints == ["the run broke off: ValueError(1)"]
