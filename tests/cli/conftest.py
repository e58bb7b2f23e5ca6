"""A fake server over real HTTP, and studies for it to show."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

NOW = "2026-01-01T00:00:00Z"
TOKEN = "hps_0000_secret"
STUDY_ID = "0193a1b2-c3d4-7000-8000-000000000001"
TRIAL_ID = "0193a1b2-c3d5-7000-8000-0000000000aa"

DEFINITION: dict[str, Any] = {
    "name": "digits",
    "dataset": {"builtin": "digits"},
    "task": "multiclass",
    "objective": {"metric": "accuracy", "direction": "maximize"},
    "space": {
        "layers": {"type": "int", "low": 1, "high": 2},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1},
    },
    "budget": {"max_trials": 4},
}


def row(rank: int, **changes: Any) -> dict[str, Any]:
    """One row of a leaderboard."""
    return {
        "rank": rank,
        "trial_id": TRIAL_ID,
        "number": rank + 2,
        "kind": "search",
        "params": {"layers": rank, "units_1": 64, "learning_rate": 0.001 * rank, "activation": "relu"},
        "value": 1.0 - rank / 100,
        "metrics": {"accuracy": 1.0 - rank / 100, "loss": 0.1},
        "best_epoch": 7,
        "epochs": 12,
        "n_weights": 5000,
        "device_seconds": 1.5,
        "duration_s": 1.6,
        **changes,
    }


def board(*rows: dict[str, Any], next_page_token: str | None = None) -> dict[str, Any]:
    """A page of the leaderboard."""
    return {"metric": "accuracy", "direction": "maximize", "items": list(rows), "next_page_token": next_page_token}


def study(**changes: Any) -> dict[str, Any]:
    """A study as the server shows it; `n_trials` and `best` may be changed like any other field."""
    n_trials = changes.pop("n_trials", 3)
    return {
        "study_id": STUDY_ID,
        "name": "digits",
        "state": "RUNNING",
        "end_reason": None,
        "phase": "search",
        "definition": DEFINITION,
        "resolved": {
            "dataset_id": "d1",
            "dataset_digest": "ab",
            "task": "multiclass",
            "metric": "accuracy",
            "direction": "maximize",
            "n_inputs": 64,
            "n_outputs": 10,
            "grid_size": None,
            "max_trials": 4,
        },
        "counts": {"COMPLETE": n_trials, "RUNNING": 1},
        "n_trials": n_trials,
        "best": row(1),
        "budget": {
            "max_trials": 4,
            "n_created": 4,
            "n_trials": n_trials,
            "wall_time_s": 12.0,
            "device_seconds": 20.0,
        },
        "created_at": NOW,
        "ended_at": None,
        **changes,
    }


def final_model(**changes: Any) -> dict[str, Any]:
    """The final model of a study: a refit of its best trial, judged by test rows."""
    linear = {"trial_id": "b0", "number": 0, "name": "linear model", "value": 0.9, "has_model": True}
    return {
        "trial_id": "f1",
        "number": 4,
        "kind": "refit",
        "params": row(1)["params"],
        "n_weights": 5000,
        "metric": "accuracy",
        "direction": "maximize",
        "value": 0.975,
        "believe": "test",
        "test": 0.975,
        "n_test": 360,
        "test_interval": [0.9532, 0.9868],
        "optimism": 0.015,
        "chosen": 3,
        "chosen_at": 0.99,
        "n_validation": 359,
        "mean": None,
        "n_seeds": None,
        "interval": None,
        "baselines": [linear],
        "beaten_by_baseline": None,
        **changes,
    }


def trial(number: int, **changes: Any) -> dict[str, Any]:
    """A trial as the server shows it."""
    return {
        "trial_id": TRIAL_ID,
        "study_id": STUDY_ID,
        "number": number,
        "kind": "search",
        "state": "COMPLETE",
        "attempt": 1,
        "params": {"layers": 1, "learning_rate": 0.01},
        "seed": 7,
        "n_weights": 650,
        "value": 0.95,
        "metrics": {"accuracy": 0.95},
        "best_epoch": 3,
        "epochs": 5,
        "duration_s": 2.0,
        "created_at": NOW,
        **changes,
    }


def page(*items: dict[str, Any], next_page_token: str | None = None) -> dict[str, Any]:
    """A page of anything."""
    return {"items": list(items), "next_page_token": next_page_token}


def problem(status: int, code: str, detail: str) -> tuple[int, dict[str, Any]]:
    """A refusal."""
    return status, {"type": "about:blank", "title": "refused", "status": status, "code": code, "detail": detail}


@dataclass
class Request:
    """What the fake server received."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = dict[str, Any] | bytes | tuple[int, dict[str, Any]]
Route = Answer | Callable[[Request], Answer]


@dataclass
class FakeServer:
    """Answers with what the test put into `routes` and, as events, into `streams`; remembers what it was asked."""

    url: str = ""
    routes: dict[tuple[str, str], Route] = field(default_factory=dict)
    streams: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests of one kind, in order."""
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def answer(self, request: Request) -> tuple[int, str, bytes]:
        self.requests.append(request)
        if request.path in self.streams:
            return 200, "text/event-stream", self.streams[request.path]
        route = self.routes.get((request.method, request.path), problem(404, "not_found", f"nothing at {request.path}"))
        answer = route(request) if callable(route) else route
        if isinstance(answer, bytes):
            return 200, "application/octet-stream", answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return status, "application/json" if status < 400 else "application/problem+json", json.dumps(body).encode()


def _handler(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            headers = {key.lower(): value for key, value in self.headers.items()}
            status, kind, content = fake.answer(Request(self.command, parts.path, query, headers, body))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _do  # noqa: N815 - the names http.server looks for

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    return Handler


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_arguments: object) -> None:
        """A client that hangs up is no news."""


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A fake server on a free port."""
    server = FakeServer()
    with _Http(("127.0.0.1", 0), _handler(server)) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        http.shutdown()
        thread.join()


@dataclass
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout."""
        assert self.out.count("\n") == 1, f"not exactly one line: {self.out!r}"
        return json.loads(self.out)


@pytest.fixture
def hpsearch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Said]:
    """Runs a command line in this process: `hpsearch("studies", "--json")`."""
    from hpsearch.cli.main import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPSEARCH_DATA_DIR", str(tmp_path / "data"))

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


@pytest.fixture
def remote(hpsearch: Callable[..., Said], fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Runs a command line against the fake server."""
    monkeypatch.setenv("HPSEARCH_SERVER", fake.url)
    monkeypatch.setenv("HPSEARCH_TOKEN", TOKEN)
    return hpsearch


def dataset(**changes: object) -> dict[str, object]:
    return {
        "dataset_id": "d1", "name": "d", "source": "upload", "digest": "ab", "size_bytes": 1234, "n_rows": 600,
        "n_columns": 7, "target": "y", "task": "binary", "created_at": NOW, **changes,
    }  # fmt: skip
