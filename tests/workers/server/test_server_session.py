"""A worker that is started beside its server waits for it, and gets its trainers ready meanwhile."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hpsearch.client import Client
from hpsearch.wire.workers import RegisterRequest
from tests.workers.conftest import wait_until
from tests.workers.fake_server import TOKEN, FakeServer
from workers.log import logger
from workers.options import WorkerOptions
from workers.server.server_session import ServerSession, WorkerStoppedError
from workers.worker import Worker


def linked(seek: Any) -> ServerSession:
    return ServerSession(seek, RegisterRequest(name="early"), give_up_s=1.0, log=logger())


def test_a_server_is_sought_until_there_is_one(server: FakeServer) -> None:
    answers = iter([None, None, Client(server.url, TOKEN)])
    session = linked(lambda: next(answers))
    session.enter()
    assert session.worker_id == "worker-0"
    assert session.hears_slots
    session.close()


def test_seeking_ends_when_the_worker_is_told_to_stop() -> None:
    session = linked(lambda: None)
    threading.Timer(0.1, session.stop.set).start()
    with pytest.raises(WorkerStoppedError):
        session.enter()
    session.close()


def test_trainers_get_ready_before_there_is_a_server(
    server: FakeServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPSEARCH_STUB_ENGINE", "1")
    found: list[tuple[str, str | None]] = []
    options = WorkerOptions(engine="stub", work_dir=tmp_path, max_idle_s=3.0, seek=lambda: found[0] if found else None)
    worker = Worker(options.checked())
    running = threading.Thread(target=worker.run)
    running.start()
    wait_until(lambda: worker._supervisor._living)
    assert not server.workers
    server.add(1)
    found.append((server.url, TOKEN))
    wait_until(server.is_done)
    running.join(20)
    assert not running.is_alive()
