"""Which server a command means, and who gets the local admin token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.local import server as local
from hpsearch.local.server import known_token
from hpsearch.settings import Settings
from tests.cli.conftest import FakeServer, Said, page, study

Run = Callable[..., Said]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    settings.token_path.write_text("hps_local_admin\n")
    return settings


def announce(settings: Settings, url: str, pid: int | None = None) -> None:
    settings.server_path.write_text(json.dumps({"url": url, "pid": os.getpid() if pid is None else pid}))


def test_a_running_local_server_is_used_with_its_token(fake: FakeServer, hpsearch: Run, settings: Settings):
    fake.routes["GET", "/healthz"] = {"status": "ok"}
    fake.routes["GET", "/v1/studies"] = page(study())
    announce(settings, fake.url)
    assert hpsearch("studies", "--data-dir", settings.data_dir).code == 0
    asked = fake.asked("GET", "/v1/studies")[0]
    assert asked.headers["authorization"] == "Bearer hps_local_admin"
    assert "authorization" not in fake.asked("GET", "/healthz")[0].headers


def test_the_local_server_may_be_named_by_its_address(fake: FakeServer, hpsearch: Run, settings: Settings):
    fake.routes["GET", "/v1/studies"] = page(study())
    announce(settings, fake.url)
    url = fake.url.replace("127.0.0.1", "localhost")
    assert hpsearch("studies", "--data-dir", settings.data_dir, "--server", url).code == 0
    assert fake.requests[-1].headers["authorization"] == "Bearer hps_local_admin"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://example.test:{port}", "http://127.0.0.1.example.test:{port}"]
)
def test_the_local_token_goes_to_no_other_address(fake: FakeServer, settings: Settings, url: str):
    announce(settings, fake.url)
    port = fake.url.rpartition(":")[2]
    assert known_token(url.format(port=port), settings) is None
    assert known_token(fake.url, settings) == "hps_local_admin"


def test_a_note_that_points_elsewhere_or_to_the_dead_is_not_believed(settings: Settings):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    announce(settings, "http://127.0.0.1:5", gone.pid)
    assert local.announced(settings) is None
    announce(settings, "http://10.0.0.1:5")
    assert local.announced(settings) is None
    announce(settings, "http://127.0.0.1:5", 0)
    assert local.announced(settings) is None
    for text in ("", "{", "[]", '{"url": 3}', '{"pid": "x", "url": "http://127.0.0.1"}'):
        settings.server_path.write_text(text)
        assert local.announced(settings) is None
    announce(settings, "http://127.0.0.1:5/")
    assert local.announced(settings) == ("http://127.0.0.1:5", os.getpid())


def test_something_else_on_the_port_is_not_taken_for_a_server(fake: FakeServer, settings: Settings):
    announce(settings, fake.url)
    assert local.find(settings) is None
    for answer in ({"status": "up"}, b"hello", (500, {"status": "ok"})):
        fake.routes["GET", "/healthz"] = answer  # type: ignore[assignment]
        assert local.find(settings) is None
    fake.routes["GET", "/healthz"] = {"status": "ok"}
    assert local.find(settings) == fake.url


def test_an_unreadable_token_is_one_sentence(fake: FakeServer, hpsearch: Run, settings: Settings):
    fake.routes["GET", "/healthz"] = {"status": "ok"}
    announce(settings, fake.url)
    settings.token_path.unlink()
    said = hpsearch("studies", "--data-dir", settings.data_dir)
    assert said.code == 1
    assert "can not be read (no such file or directory); pass one with --token" in said.err


def test_a_bad_setting_is_one_sentence(hpsearch: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HPSEARCH_LEASE_S", "soon")
    said = hpsearch("studies")
    assert said.code == 1
    assert said.err.startswith("Error: HPSEARCH_LEASE_S can not be 'soon'")


def test_a_data_directory_that_can_not_be_made(hpsearch: Run, tmp_path: Path):
    (tmp_path / "file").write_text("")
    said = hpsearch("tokens", "create", "--data-dir", tmp_path / "file" / "data")
    assert said.code == 1
    assert "can not be made: not a directory" in said.err


def test_a_server_that_can_not_start_says_why(hpsearch: Run, settings: Settings):
    """The child's own sentence reaches the user, not only that it ended."""
    (settings.data_dir / "hpsearch.sqlite3").write_bytes(b"this is no database" * 1000)
    said = hpsearch("studies", "--data-dir", settings.data_dir)
    assert (said.code, said.out) == (1, "")
    assert "The server ended with exit code 1" in said.err
    assert "Traceback" not in said.err


def test_a_worker_without_a_server(hpsearch: Run):
    said = hpsearch("worker")
    assert said.code == 1
    assert "No local server runs for" in said.err
    said = hpsearch("worker", "--server", "http://10.0.0.1:5")
    assert said.code == 1
    assert "no token was given for http://10.0.0.1:5" in said.err
