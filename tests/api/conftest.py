"""Applications, clients and tokens for the tests of the HTTP edge."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
    made = tokens.create(context, TokenRequest(name="test", scopes=scopes))  # type: ignore[arg-type]
    return {"Authorization": f"Bearer {made.token}"}


@dataclass
class Edge:
    """A running application and a header for each scope."""

    client: TestClient
    app: FastAPI
    context: Context
    headers: dict[str, dict[str, str]]

    @property
    def admin(self) -> dict[str, str]:
        """The header of a token that may do everything."""
        return self.headers["admin"]


def _edge(settings: Settings, **options: object) -> Iterator[Edge]:
    app = create_app(settings, **options)  # type: ignore[arg-type]
    with TestClient(app) as client:
        context: Context = app.state.edge.context
        headers = {scope: bearer_of(context, scope) for scope in ("read", "submit", "worker", "admin")}
        yield Edge(client, app, context, headers)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An application over SQLite, shared by the tests of a module: for tests that leave no traces in each other's way."""
    yield from _edge(Settings(data_dir=tmp_path_factory.mktemp("edge")))


@pytest.fixture
def service(settings: Settings) -> Iterator[Edge]:
    """A fresh application, once over SQLite and once over PostgreSQL."""
    yield from _edge(settings)


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
