"""Event streams over a real connection: in order, without gaps, never in the way of anything else."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from api.streaming import token_validity
from hpsearch.errors import UnavailableError
from hpsearch.service import tokens
from tests.api.conftest import Live, Worker, create_study, eventually, raw_request


@dataclass
class Frame:
    """One event as it came over the wire."""

    id: str
    event: str
    data: Any


@contextmanager
def _stream(live: Live, path: str, **headers: str) -> Iterator[Iterator[Frame]]:
    with live.client() as client, client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert "Content-Length" not in answer.headers
        yield _frames(answer)


def _frames(answer: httpx2.Response) -> Iterator[Frame]:
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield Frame(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


def _take(frames: Iterator[Frame], until: str) -> list[Frame]:
    taken = []
    for frame in frames:
        taken.append(frame)
        if frame.event == until:
            return taken
    raise AssertionError(taken)


def test_events_are_told_and_resumed_without_gap_or_repetition(live: Live) -> None:
    with live.client() as client:
        study_id = create_study(client, {})
        path = f"/v1/studies/{study_id}/events"
        worker = Worker.register(client, {})
        with _stream(live, path) as frames:
            assert next(frames).event == "study.created"
            begun = time.monotonic()
            worker.finish(2)
            early = _take(frames, "trial.complete")
            assert time.monotonic() - begun < 5
        worker.finish(2)
        with _stream(live, path, **{"Last-Event-ID": early[-1].id}) as frames:
            late = _take(frames, "study.completed")
        with _stream(live, path) as frames:
            everything = _take(frames, "study.completed")
    assert [frame.id for frame in everything[1:]] == [frame.id for frame in early + late]
    assert len({frame.id for frame in everything}) == len(everything)
    for frame in everything:
        assert frame.data["event_id"] == frame.id
        assert frame.data["kind"] == frame.event
        assert frame.data["study_id"] == study_id
    assert sum(frame.event == "trial.complete" for frame in everything) == 4


def test_a_stream_can_begin_now(live: Live) -> None:
    with live.client() as client:
        study_id = create_study(client, {})
        with _stream(live, f"/v1/studies/{study_id}/events?after=latest") as frames:
            client.post(f"/v1/studies/{study_id}/pause")
            assert next(frames).event == "study.paused"


def test_the_leaderboard_is_streamed_when_it_changes(live: Live) -> None:
    with live.client() as client:
        study_id = create_study(client, {})
        worker = Worker.register(client, {})
        path = f"/v1/studies/{study_id}/leaderboard"
        with _stream(live, f"{path}/stream?limit=2") as frames:
            assert next(frames).data["items"] == []
            worker.finish(1)
            board = next(frames)
            while not board.data["items"]:
                board = next(frames)
            assert [row["number"] for row in board.data["items"]] == [0]
        tag = client.get(path).headers["ETag"]
        with _stream(live, path, Accept="text/event-stream") as frames:
            first = next(frames)
            assert first.event == "leaderboard"
            assert f'"{first.id}"' == tag
        with _stream(live, f"{path}/stream", **{"Last-Event-ID": first.id}) as frames:
            worker.finish(1)
            assert len(next(frames).data["items"]) >= 1


def test_errors_come_before_the_stream(live: Live) -> None:
    with live.client() as client:
        study_id = create_study(client, {})
        for path in ("events", "leaderboard/stream"):
            assert client.get(f"/v1/studies/nothing/{path}").status_code == 404
        wrong = client.get(f"/v1/studies/{study_id}/events", headers={"Last-Event-ID": "not one of ours"})
        assert wrong.status_code == 422
        assert wrong.headers["Content-Type"] == "application/problem+json"


def test_streams_are_capped_and_their_places_come_back(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = live.app.state.shared.streams
    monkeypatch.setattr(streams, "_each", 3)
    with live.client() as client:
        path = f"/v1/studies/{create_study(client, {})}/events"
        opened = [client.stream("GET", path) for _ in range(3)]
        for stream in opened:
            assert stream.__enter__().status_code == 200
        assert streams.n_taken == 3
        refused = client.get(path)
        assert refused.status_code == 429
        assert refused.json()["code"] == "limit.reached"
        assert "hpsearch_event_streams 3.0" in client.get("/metrics").text
        for stream in opened:
            stream.__exit__(None, None, None)
        eventually(lambda: streams.n_taken == 0)


def test_keep_alives_come_when_nothing_happens(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.event_streams._KEEPALIVE_S", 0.2)
    monkeypatch.setattr("api.event_streams._POLL_S", 0.1)
    with live.client() as client:
        study_id = create_study(client, {})
        for path in ("events?after=latest", "leaderboard/stream"):
            with client.stream("GET", f"/v1/studies/{study_id}/{path}") as answer:
                lines = answer.iter_lines()
                assert next(line for line in lines if line.startswith(": ping"))


@pytest.mark.parametrize("path", ["events", "leaderboard/stream"])
def test_a_deleted_study_ends_its_streams(live: Live, path: str) -> None:
    with live.client() as client:
        study_id = create_study(client, {})
        client.post(f"/v1/studies/{study_id}/cancel")
        with _stream(live, f"/v1/studies/{study_id}/{path}") as frames:
            next(frames)
            begun = time.monotonic()
            assert client.delete(f"/v1/studies/{study_id}").status_code == 204
            assert all(frame.event != "study.created" for frame in frames)
            assert time.monotonic() - begun < 5
    eventually(lambda: live.app.state.shared.streams.n_taken == 0)


def test_a_reader_that_takes_nothing_is_dropped(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.event_streams._WRITE_TIMEOUT_S", 0.3)
    monkeypatch.setattr("api.event_streams.event_frame", lambda _: b": " + b"x" * 200_000 + b"\n\n")
    with live.client() as client:
        study_id = create_study(client, {})
        for _ in range(100):
            client.post(f"/v1/studies/{study_id}/pause")
            client.post(f"/v1/studies/{study_id}/resume")
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", live.port))
        connection.sendall(raw_request("GET", f"/v1/studies/{study_id}/events", live.admin))
        streams = live.app.state.shared.streams
        eventually(lambda: streams.n_taken == 1)
        eventually(lambda: streams.n_taken == 0)
        assert client.get("/healthz").status_code == 200
        connection.close()


def test_the_server_stops_at_once_with_open_streams_and_long_polls(live: Live) -> None:
    with live.client() as client:
        study_id = create_study(client, {})
        client.post(f"/v1/studies/{study_id}/pause")
        worker = Worker.register(client, {})
        claim = b'{"claim_id": "x", "wait_s": 30}'
        requests = [
            raw_request("GET", f"/v1/studies/{study_id}/events", live.admin),
            raw_request("GET", f"/v1/studies/{study_id}/leaderboard/stream", live.admin),
            raw_request("POST", f"/v1/workers/{worker.worker_id}/claims", live.admin, claim),
        ]
        connections = []
        for request in requests:
            connections.append(socket.create_connection(("127.0.0.1", live.port), timeout=10))
            connections[-1].sendall(request)
        eventually(lambda: live.app.state.shared.streams.n_taken == 2)
        time.sleep(0.3)
        begun = time.monotonic()
        live.server.should_exit = True
        for connection in connections:
            answer = b""
            while piece := connection.recv(65_536):
                answer += piece
            assert b" 200 " in answer.split(b"\r\n")[0]
            connection.close()
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("how", ["here", "elsewhere", "expired"])
def test_streams_end_with_their_token(live: Live, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(token_validity, "CHECK_S", 0.1)
    with live.client() as admin:
        path = f"/v1/studies/{create_study(admin, {})}"
        wanted = {"name": "x", "scopes": ["read"]} | ({"expires_in_s": 1} if how == "expired" else {})
        made = admin.post("/v1/tokens", json=wanted).json()
        mine = {"Authorization": f"Bearer {made['token']}"}
        session = {"Cookie": f"hpsearch_session_{live.port}={made['token']}"}
        asked = [(f"{path}/events", mine), (f"{path}/leaderboard/stream", mine), ("/ui/studies/live", session)]
        with ExitStack() as open_streams:
            streams = [open_streams.enter_context(admin.stream("GET", place, headers=h)) for place, h in asked]
            mine_too = open_streams.enter_context(admin.stream("GET", f"{path}/events"))
            assert {stream.status_code for stream in (*streams, mine_too)} == {200}
            if how == "here":
                assert admin.delete(f"/v1/tokens/{made['token_id']}").status_code == 204
            elif how == "elsewhere":  # as another server process on the same database does it
                tokens.revoke(live.context, made["token_id"])
            begun = time.monotonic()
            for stream in streams:
                for _ in stream.iter_raw():
                    assert time.monotonic() - begun < 5
            # The client sees the end a moment before the server has given the place back.
            eventually(lambda: live.app.state.shared.streams.n_taken <= 1)
            assert admin.post(f"{path}/pause").is_success
            assert any("study.paused" in text for text in mine_too.iter_text()), "others go on"
        eventually(lambda: live.app.state.shared.streams.n_taken == 0)


def test_a_database_that_is_away_ends_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_validity, "CHECK_S", 0.01)
    asked = 0

    async def is_valid(_: str) -> bool:
        nonlocal asked
        asked += 1
        if asked < 3:
            msg = "away"
            raise UnavailableError(msg)
        return asked < 5

    async def look() -> None:
        watching = token_validity.TokenValidity(is_valid)
        async with watching.watched("t") as first, watching.watched("t") as second:
            assert first is second
            async with asyncio.timeout(5):
                await first.wait()

    asyncio.run(look())
    assert asked == 5
