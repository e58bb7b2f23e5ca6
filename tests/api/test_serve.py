"""The server as a process: bound, announced, refused, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from api import serve, server_file
from api.limits.failed_logins import MAX_FAILED_PER_MINUTE
from hpsearch.errors import ConflictError, InvalidInputError
from hpsearch.service import tokens
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from hpsearch.wire.tokens import TokenRequest
from tests.api.conftest import Live, raw_request

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - refused here

_CHILD = """
import sys
from pathlib import Path
from api.serve import run
from hpsearch.settings import Settings
run("127.0.0.1", 0, Settings(data_dir=Path(sys.argv[1])), log_json=True,
    on_stopping=lambda: print("stopping workers", flush=True))
"""


@contextmanager
def _server(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    root = str(Path(__file__).resolve().parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(data_dir)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("hpsearch is listening on http://127.0.0.1:"), (line, process.poll())
        yield process, line.removeprefix("hpsearch is listening on ").strip()
    finally:
        process.kill()
        process.communicate()


def test_a_server_from_start_to_sigterm(tmp_path: Path) -> None:
    with _server(tmp_path) as (process, url):
        note = tmp_path / "server.json"
        assert json.loads(note.read_text()) == {"url": url, "pid": process.pid}
        assert note.stat().st_mode & 0o777 == 0o600
        token = tmp_path / "token"
        assert token.stat().st_mode & 0o777 == 0o600
        headers = {"Authorization": f"Bearer {token.read_text().strip()}"}
        with httpx2.Client(base_url=url, headers=headers) as client:
            answer = client.get("/v1/studies")
            assert answer.status_code == 200
            assert "server" not in answer.headers
            assert client.get("/v1/studies", headers={"Host": "evil.test"}).status_code == 400
            assert client.get("/%0aforged%1b[31m", headers={"X-Request-ID": "r-1"}).status_code == 404
            worker = client.post("/v1/workers", json={"name": "w"}).json()["worker_id"]
            hanging = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
            claim = b'{"claim_id": "x", "wait_s": 30}'
            hanging.sendall(raw_request("POST", f"/v1/workers/{worker}/claims", headers, claim))
            time.sleep(0.3)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=10)
        assert time.monotonic() - begun < 2
        assert process.returncode == 0
        assert b" 200 " in hanging.recv(4096)
        hanging.close()
    assert "stopping workers" in output
    assert not note.exists()
    assert token.read_text().strip() not in errors
    lines = [json.loads(line) for line in errors.splitlines()]
    forged = next(line for line in lines if line.get("request_id") == "r-1")
    assert forged["path"] == "/\\nforged\\x1b[31m"
    assert forged["status"] == 404


def _smuggled(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65_536)


def test_the_wire_is_guarded(live: Live) -> None:
    port = live.port
    head = b"Host: localhost\r\n"
    for request in (
        b"POST / HTTP/1.1\r\n" + head + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/studies HTTP/1.1\r\n" + head + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"GET /v1/studies HTTP/1.1\r\nHost: x/abc?\r\n\r\n",
        b"GET /v1/studies HTTP/1.1\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n" + head + b"\r\n",
        b"nonsense\r\n\r\n",
    ):
        answer = _smuggled(port, request)
        assert answer.startswith(b"HTTP/1.1 400"), (request, answer)
    for method in (b"TRACE", b"OPTIONS"):
        assert _smuggled(port, method + b" /v1/studies HTTP/1.1\r\n" + head + b"\r\n").startswith(b"HTTP/1.1 405")
    assert _smuggled(port, b"CONNECT localhost:80 HTTP/1.1\r\n" + head + b"\r\n")[9:10] == b"4"


def test_a_forwarded_address_is_not_believed(live: Live) -> None:
    with httpx2.Client(base_url=live.url) as client:
        for n in range(MAX_FAILED_PER_MINUTE + 1):
            guess = {
                "Authorization": f"Bearer hps_{n:016x}_x",
                "X-Forwarded-For": f"10.1.1.{n}",
                "Forwarded": f"for=10.2.2.{n}",
            }
            status = client.get("/v1/studies", headers=guess).status_code
    assert status == 429


def test_a_body_in_drips_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.request_bodies.json_bodies.BODY_TIMEOUT_S", 0.3)
    whole = raw_request("POST", "/v1/studies", live.admin, b'{"name": "x"}')
    assert _smuggled(live.port, whole[:-5]).startswith(b"HTTP/1.1 408")


def test_half_open_senders_hold_nobody_up(live: Live) -> None:
    port = live.port
    senders = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    for sender in senders:
        sender.sendall(b"GET /v1/studies HTTP/1.1\r\nHost: localho")
    begun = time.monotonic()
    assert httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    assert time.monotonic() - begun < 1
    for sender in senders:
        sender.close()


def test_no_door_is_opened_without_a_token(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    for host in (_EVERYWHERE, "::"):
        with pytest.raises(InvalidInputError, match="hpsearch tokens create"):
            serve.run(host, 0, settings)
    assert not settings.token_path.exists()
    assert not settings.server_path.exists()
    context = Context.open(settings)
    serve._require_token(context, "127.0.0.1", "127.0.0.1")
    tokens.create(context, TokenRequest(name="x", scopes=("read",)))
    serve._require_token(context, _EVERYWHERE, _EVERYWHERE)
    context.close()


def test_addresses_that_can_not_be_bound(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(InvalidInputError, match="not an address"):
        serve.run("no such host", 0, settings)
    with pytest.raises(InvalidInputError, match="from 0 to 65535"):
        serve.run("127.0.0.1", 70_000, settings)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InvalidInputError, match=f"port {port} of 127.0.0.1 can not be used"):
            serve.run("127.0.0.1", port, settings)
    assert not settings.server_path.exists()


def test_a_second_server_of_one_file_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    context = Context.open(settings)
    with pytest.raises(ConflictError, match="already served by another process"):
        serve.run("127.0.0.1", 0, settings)
    context.close()


def test_the_note_of_another_server_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    server_file.withdraw(settings)
    server_file.announce(settings, "http://127.0.0.1:1")
    server_file.announce(settings, "http://127.0.0.1:2")
    assert json.loads(settings.server_path.read_text())["url"] == "http://127.0.0.1:2"
    settings.server_path.write_text('{"url": "http://127.0.0.1:3", "pid": 1}')
    server_file.withdraw(settings)
    assert settings.server_path.exists()
    settings.server_path.write_text("not json")
    server_file.withdraw(settings)


@pytest.mark.parametrize(
    ("host", "address", "url", "near"),
    [
        ("127.0.0.1", "127.0.0.1", "http://127.0.0.1:80", "http://127.0.0.1:80"),
        ("localhost", "127.0.0.1", "http://localhost:80", "http://localhost:80"),
        ("::1", "::1", "http://[::1]:80", "http://[::1]:80"),
        (_EVERYWHERE, _EVERYWHERE, f"http://{_EVERYWHERE}:80", "http://127.0.0.1:80"),
        ("::", "::", "http://[::]:80", "http://[::1]:80"),
        ("10.1.2.3", "10.1.2.3", "http://10.1.2.3:80", None),
    ],
)
def test_urls(host: str, address: str, url: str, near: str | None) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    assert serve._url(host, address, 80) == url
    assert serve._is_local(address) == (near is not None)
    if near is not None:
        assert serve._local_url(family, address, url, 80) == near
