"""Applications, clients and tokens for the tests of the HTTP edge."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.app import create_app
from hpsearch.service import tokens
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from hpsearch.wire.tokens import TokenRequest

Bearer = Callable[..., dict[str, str]]


def bearer_of(context: Context, *scopes: str) -> dict[str, str]:
    """Return the header of a fresh token."""
    made = tokens.create(context, TokenRequest(name="test", scopes=scopes))
    return {"Authorization": f"Bearer {made.token}"}


@dataclass
class InProcessApi:
    """A running application and a header for each scope."""

    client: TestClient
    app: FastAPI
    context: Context
    headers: dict[str, dict[str, str]]

    @property
    def admin(self) -> dict[str, str]:
        """The header of a token that may do everything."""
        return self.headers["admin"]


def _in_process(settings: Settings, **options: object) -> Iterator[InProcessApi]:
    app = create_app(settings, **options)  # type: ignore[arg-type]
    with TestClient(app) as client:
        context: Context = app.state.shared.context
        headers = {scope: bearer_of(context, scope) for scope in ("read", "submit", "worker", "admin")}
        yield InProcessApi(client, app, context, headers)


@pytest.fixture(scope="module")
def shared_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessApi]:
    """An application over SQLite that a module's tests share: for those that leave nothing behind."""
    yield from _in_process(Settings(data_dir=tmp_path_factory.mktemp("shared_api")))


@pytest.fixture
def local(sqlite_url: str, tmp_path: Path) -> Iterator[InProcessApi]:
    """A fresh application over SQLite."""
    yield from _in_process(Settings(data_dir=tmp_path / "data", database_url=sqlite_url))


@pytest.fixture
def service(settings: Settings) -> Iterator[InProcessApi]:
    """A fresh application, once over SQLite and once over PostgreSQL: for what the databases might do differently."""
    yield from _in_process(settings)


@dataclass
class Live:
    """A server on a real port, for what only a real connection shows."""

    url: str
    port: int
    app: FastAPI
    context: Context
    admin: dict[str, str]
    server: uvicorn.Server

    def client(self, **options: object) -> httpx2.Client:
        """Return a client of the server with an admin token."""
        return httpx2.Client(base_url=self.url, headers=self.admin, timeout=30, **options)  # type: ignore[arg-type]


def raw_request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Return a request as it travels."""
    lines = {"Host": "localhost", **headers}
    if body:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A server on a real port over SQLite."""
    from api.serve import _config, _Server

    context = Context.open(Settings(data_dir=tmp_path / "data"))
    app = create_app(context=context)
    started = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = _Server(_config(app), app, started.set, None)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert started.wait(30)
        yield Live(f"http://127.0.0.1:{port}", port, app, context, bearer_of(context, "admin"), server)
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
    context.close()


def eventually(check: Callable[[], bool], *, within_s: float = 10.0) -> None:
    """Wait until the check holds."""
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


STUDY: dict[str, object] = {
    "name": "iris",
    "dataset": {"builtin": "iris"},
    "space": {
        "units": {"type": "int", "low": 2, "high": 16},
        "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
    },
    "algorithm": {"kind": "random", "seed": 1},
    "budget": {"max_trials": 4},
    "training": {"max_epochs": 5},
    "baselines": False,
    "refit": "off",
}


@dataclass
class Worker:
    """A worker that speaks HTTP and trains nothing."""

    client: TestClient | httpx2.Client
    headers: dict[str, str]
    worker_id: str
    n_claims: int = 0

    @classmethod
    def register(cls, client: TestClient | httpx2.Client, headers: dict[str, str]) -> Worker:
        """Return a registered worker."""
        made = client.post("/v1/workers", json={"name": "w"}, headers=headers)
        assert made.status_code == 201, made.text
        return cls(client, headers, made.json()["worker_id"])

    def claim(self, n: int = 1, wait_s: float = 0.0) -> list[dict[str, Any]]:
        """Return trials to train."""
        self.n_claims += 1
        body = {"claim_id": f"c{self.n_claims}", "max_trials": n, "wait_s": wait_s}
        answer = self.client.post(f"/v1/workers/{self.worker_id}/claims", json=body, headers=self.headers)
        assert answer.status_code == 200, answer.text
        trials: list[dict[str, Any]] = answer.json()["trials"]
        return trials

    def report(self, *reports: dict[str, Any]) -> httpx2.Response:
        """Send reports."""
        path = f"/v1/workers/{self.worker_id}/reports"
        return self.client.post(path, json={"reports": list(reports)}, headers=self.headers)

    def deliver(self, trial: dict[str, Any], content: bytes, **headers: str) -> httpx2.Response:
        """Send a model file."""
        path = f"/v1/workers/{self.worker_id}/trials/{trial['trial_id']}/model?attempt={trial['attempt']}"
        digest = {"X-Content-SHA256": hashlib.sha256(content).hexdigest()}
        return self.client.put(path, content=content, headers=self.headers | (headers or digest))

    def finish(self, n: int, *, model: bytes | None = None) -> list[dict[str, Any]]:
        """Claim and complete that many trials; the value is 0.5 + number / 100."""
        done: list[dict[str, Any]] = []
        eventually(lambda: bool(self._finish_some(n, done, model)) or len(done) >= n)
        return done

    def _finish_some(self, n: int, done: list[dict[str, Any]], model: bytes | None) -> bool:
        for trial in self.claim(n - len(done)):
            if model is not None:
                assert self.deliver(trial, model + str(trial["number"]).encode()).status_code == 200
            answer = self.report(ending(trial))
            assert answer.status_code == 200, answer.text
            done.append(trial)
        return len(done) >= n


def ending(trial: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return the report that completes a trial with two epochs."""
    value = 0.5 + trial["number"] / 100
    metrics = {"accuracy": value, "loss": 1.0}
    outcome = {
        "state": "COMPLETE",
        "value": value,
        "metrics": metrics,
        "best_epoch": 2,
        "epochs": 2,
        "device_seconds": 1.5,
    }
    measurements = [{"epoch": 1, "metrics": {"accuracy": 0.1, "loss": None}}, {"epoch": 2, "metrics": metrics}]
    return {
        "trial_id": trial["trial_id"],
        "attempt": trial["attempt"],
        "measurements": measurements,
        "outcome": outcome | changes,
    }


def create_study(client: TestClient | httpx2.Client, headers: dict[str, str], **changes: object) -> str:
    """Return the id of a fresh study."""
    answer = client.post("/v1/studies", json=STUDY | changes, headers=headers)
    assert answer.status_code == 201, answer.text
    study_id: str = answer.json()["study_id"]
    return study_id
