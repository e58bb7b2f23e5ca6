"""`hpsearch serve` and `hpsearch worker`: what is handed to the server's and the worker's own part."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hpsearch import _layout
from hpsearch.local import local_processes, supervision
from hpsearch.local import server as local
from tests.cli.conftest import Said
from tests.local.test_local_processes import World

Run = Callable[..., Said]


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the worker's part was called with."""
    from workers.options import WorkerOptions

    found: dict[str, Any] = {}

    def run_worker(options: WorkerOptions) -> int:
        found["options"] = options
        return 0

    parts = {
        "workers.options": SimpleNamespace(WorkerOptions=WorkerOptions),
        "workers.main": SimpleNamespace(run_worker=run_worker),
    }
    monkeypatch.setattr(_layout, "load", parts.__getitem__)
    return found


def test_worker_options(hpsearch: Run, handed: dict[str, Any], tmp_path: Path):
    arguments = ["--server", "https://example.test", "--token", "hps_x", "--name", "gpu1", "--trainers", "3"]
    arguments += ["--max-idle", "10m", "--log-json", "--engine", "reference", "--work-dir", str(tmp_path)]
    assert hpsearch("worker", *arguments).code == 0
    options = handed["options"]
    assert (options.server, options.token, options.name, options.trainers) == (
        "https://example.test",
        "hps_x",
        "gpu1",
        3,
    )
    assert (options.max_idle_s, options.log_json, options.engine, options.work_dir) == (
        600.0,
        True,
        "reference",
        tmp_path,
    )


def test_worker_defaults_are_the_workers_own(hpsearch: Run, handed: dict[str, Any]):
    from workers.options import WorkerOptions

    assert hpsearch("worker", "--server", "https://example.test", "--token", "hps_x").code == 0
    assert handed["options"] == WorkerOptions(server="https://example.test", token="hps_x")


def test_serve_without_workers(hpsearch: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    calls = []

    def run(host: str, port: int, settings: Any, **hooks: Any) -> None:
        calls.append((host, port, settings, hooks))

    monkeypatch.setattr(_layout, "load", lambda _name: SimpleNamespace(run=run))
    assert hpsearch("serve", "--port", "0", "--host", "::1", "--database-url", "postgresql://db/x").code == 0
    host, port, settings, hooks = calls[0]
    assert (host, port, settings.database_url, settings.data_dir) == ("::1", 0, "postgresql://db/x", tmp_path / "data")
    assert hooks == {"log_json": False}


def test_serve_keeps_its_workers_alive_and_takes_them_along(
    hpsearch: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    world = World()
    monkeypatch.setattr(local_processes, "start", world.start)
    monkeypatch.setattr(local_processes, "stop", world.stop)
    monkeypatch.setattr(local_processes, "kill_group", lambda child: world.killed.append(child.name))
    monkeypatch.setattr(local, "token_of", lambda _settings: "hps_local")
    monkeypatch.setattr(supervision, "_LOOK_EVERY_S", 0.01)

    def run(_host: str, _port: int, _settings: Any, *, on_listening: Any, on_stopping: Any, log_json: bool) -> None:
        assert log_json
        on_listening("http://127.0.0.1:5000")
        assert [child.name for child in world.started] == ["worker 1", "worker 2"]
        world.started[0].die()
        deadline = time.monotonic() + 30
        while len(world.started) < 3:
            assert time.monotonic() < deadline, "the dead worker was not started again"
            time.sleep(0.01)
        on_stopping()
        assert {name for name, _ in world.stopped} == {"worker 1", "worker 2"}

    monkeypatch.setattr(_layout, "load", lambda _name: SimpleNamespace(run=run))
    said = hpsearch("serve", "--workers", "2", "--log-json")
    assert said.code == 0
    assert "It is started again" in said.err
    assert len(world.started) == 3


def test_workers_that_keep_dying_do_not_end_the_server(hpsearch: Run, monkeypatch: pytest.MonkeyPatch):
    world = World()
    monkeypatch.setattr(local_processes, "start", world.start)
    monkeypatch.setattr(local_processes, "stop", world.stop)
    monkeypatch.setattr(local_processes, "kill_group", lambda child: world.killed.append(child.name))
    monkeypatch.setattr(local, "token_of", lambda _settings: "hps_local")
    monkeypatch.setattr(supervision, "_LOOK_EVERY_S", 0.01)
    started = []

    def run(_host: str, _port: int, _settings: Any, *, on_listening: Any, on_stopping: Any, log_json: bool) -> None:
        on_listening("http://127.0.0.1:5000")
        started.append(on_listening.__self__)
        deadline = time.monotonic() + 30
        while started[0]._supervision._thread.is_alive():
            world.started[-1].die()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    monkeypatch.setattr(_layout, "load", lambda _name: SimpleNamespace(run=run))
    said = hpsearch("serve", "--workers", "1")
    assert said.code == 0
    assert "No local worker stays alive" in said.err
    assert len(world.started) == local_processes.MAX_QUICK_DEATHS
