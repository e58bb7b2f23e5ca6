"""Connections: so many and no more, and none that only waits; what is no HTTP is refused like everything else."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from api.limits import connections
from api.limits.connections import ConnectionLimit, client_key
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from tests.api.conftest import Live, eventually, raw_request


def _all_of(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def _open(live: Live, sent: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", live.port), timeout=10)
    connection.sendall(sent)
    return connection


@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: localho", b"\r\n"], ids=["silent", "half", "blank"]
)
def test_a_head_that_does_not_come_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_S", 0.3)
    with _open(live, sent) as connection:
        begun = time.monotonic()
        answer = _all_of(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 0.1 < time.monotonic() - begun < 5


def test_a_second_head_has_a_deadline_too(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_S", 0.3)
    with _open(live, raw_request("GET", "/healthz", {})) as connection:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        time.sleep(0.4)  # between two requests a connection may rest
        connection.sendall(b"GET /heal")
        assert _all_of(connection).startswith(b"HTTP/1.1 408 ")


def test_a_request_under_way_has_none(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEADER_TIMEOUT_S", 0.2)
    whole = raw_request("POST", "/v1/studies/validate", live.admin, b'{"name": "x"}')
    with _open(live, whole[:-5]) as connection:
        time.sleep(0.4)
        connection.sendall(whole[-5:])
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_connections_are_counted_and_refused(live: Live) -> None:
    limit: ConnectionLimit = live.app.state.connections
    limit.total = 3
    held = [_open(live) for _ in range(3)]
    eventually(lambda: limit.n_taken == 3)
    with _open(live) as refused:
        head, _, body = _all_of(refused).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["code"] == "limit.connections"
    for connection in held:
        connection.close()
    eventually(lambda: limit.n_taken == 0)
    with live.client() as client:
        assert client.get("/healthz").status_code == 200


def test_one_address_has_a_part_of_them() -> None:
    limit = ConnectionLimit(["192.0.2.0/24", "2001:db8:5::/48"], total=8)
    assert [limit.acquire("198.51.100.1") for _ in range(3)] == [True, True, False]
    assert [limit.acquire(f"2001:db8::{n}") for n in range(1, 4)] == [True, True, False]
    assert [limit.acquire(address) for address in ("192.0.2.7", "192.0.2.7", "127.0.0.1", "127.0.0.1")] == [True] * 4
    assert not limit.acquire("127.0.0.1"), "all are taken"
    limit.release("198.51.100.1")
    assert limit.n_taken == 7
    assert limit.acquire("198.51.100.1")


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8::1%eth0", "2001:db8::/64"),
        ("", ""),
        ("x", "x"),
    ],
)
def test_addresses_stand_for_somebody(address: str, whose: str) -> None:
    assert client_key(address) == whose


def test_what_is_no_http_is_refused_with_every_header(live: Live) -> None:
    with _open(live, b"nonsense\r\n\r\n") as connection:
        head, _, body = _all_of(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    for name in (b"content-security-policy", b"x-content-type-options", b"referrer-policy", b"cache-control"):
        assert b"\r\n" + name + b": " in head, head
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["code"] == "request.malformed"


def test_a_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    context = Context.open(Settings(data_dir=folder))
    try:
        files = [path for path in folder.glob("hpsearch.sqlite3*") if path.suffix != ".lock"]
        assert files
        assert {oct(path.stat().st_mode & 0o077) for path in files} == {"0o0"}
    finally:
        context.close()
