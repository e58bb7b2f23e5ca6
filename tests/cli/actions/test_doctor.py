"""`hpsearch doctor`: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from hpsearch.cli.actions import doctor
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from tests.cli.conftest import TOKEN, FakeServer, Said, page, problem

Run = Callable[..., Said]


def _found(said: Said) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in said.json["checks"]}


def _healthy(fake: FakeServer) -> None:
    fake.routes["GET", "/healthz"] = {"status": "ok"}
    fake.routes["GET", "/readyz"] = {"ready": True, "checks": {}}
    fake.routes["GET", "/v1/studies"] = page()


def test_a_fresh_machine_has_nothing_that_fails(hpsearch: Run, tmp_path: Path):
    said = hpsearch("doctor", "--json")
    assert said.code == 0
    found = _found(said)
    assert {name for name, check in found.items() if check["status"] == "skip"} == {
        "data directory", "database", "server", "training",
    }  # fmt: skip
    assert found["worker part"]["status"] == "ok"
    assert not (tmp_path / "data").exists(), "looking makes nothing"


def test_a_database_at_work_is_told_with_version_and_schema(hpsearch: Run, database_url: str):
    found = _found(hpsearch("doctor", "--json", "--database-url", database_url))
    assert found["database"]["status"] == "ok"
    assert found["database"]["found"].startswith(("SQLite 3", "PostgreSQL 1"))
    assert ("clock of the database" in found) == database_url.startswith("postgresql")


def test_what_is_wrong_with_a_database_is_told(hpsearch: Run, sqlite_url: str, tmp_path: Path):
    file = sqlite_url.removeprefix("sqlite:///")
    for revision, status, advice in (("0001", "warn", "hpsearch db upgrade"), ("9999", "fail", "a later one")):
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        connection.close()
        said = hpsearch("doctor", "--json", "--database-url", sqlite_url)
        check = _found(said)["database"]
        assert (check["status"], said.code) == (status, int(status == "fail"))
        assert advice in check["advice"]
    said = hpsearch("doctor", "--json", "--database-url", "postgresql://nobody:geheim@127.0.0.1:1/none")
    assert said.code == 1
    assert "does not answer" in _found(said)["database"]["found"]
    assert "geheim" not in said.out
    (tmp_path / "other").write_text("no database " * 100)
    said = hpsearch("doctor", "--json", "--database-url", f"sqlite:///{tmp_path / 'other'}")
    assert "not a SQLite database" in _found(said)["database"]["found"]


def test_the_disk(hpsearch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = tmp_path / "data"
    data.mkdir(parents=True)
    found = _found(hpsearch("doctor", "--json"))
    assert found["data directory"]["status"] == "ok"
    monkeypatch.setattr(doctor, "_SCARCE_BYTES", 2**60)
    said = hpsearch("doctor", "--json")
    assert (said.code, _found(said)["data directory"]["status"]) == (0, "warn")
    monkeypatch.setattr(doctor, "_FULL_BYTES", 2**60)
    assert hpsearch("doctor").code == 1


def test_the_content_store_is_tried_out(hpsearch: Run, database_url: str, tmp_path: Path):
    def stored_files() -> dict[str, str]:
        return _found(hpsearch("doctor", "--json", "--database-url", database_url))["stored files"]

    data = tmp_path / "data"
    data.mkdir()
    assert stored_files()["status"] == "skip", "no server was started yet"
    Context.open(Settings(data_dir=data, database_url=database_url)).close()
    found = stored_files()
    where = "files:" if database_url.startswith("sqlite") else "database:"
    assert (found["status"], found["found"].split()[0]) == ("ok", where)
    if where == "files:":
        assert [path for path in (data / "blobs").rglob("*") if path.is_file()] == [data / "blobs" / "store-id"]
        (data / "blobs" / "store-id").write_text("of another database")
        assert stored_files()["status"] == "fail"


def test_a_server_and_its_token(remote: Run, fake: FakeServer):
    _healthy(fake)
    said = remote("doctor", "--json")
    found = _found(said)
    assert said.code == 0
    assert [found[name]["status"] for name in ("server", "clock of the server", "token")] == ["ok", "ok", "ok"]
    assert fake.asked("GET", "/v1/studies")[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in fake.asked("GET", "/healthz")[0].headers
    fake.routes["GET", "/v1/studies"] = problem(403, "auth.forbidden", "this token may not read")
    assert _found(remote("doctor", "--json"))["token"]["status"] == "ok"
    fake.routes["GET", "/v1/studies"] = problem(401, "auth.invalid", "not valid")
    said = remote("doctor", "--json")
    assert (said.code, _found(said)["token"]["status"]) == (1, "fail")
    assert "hpsearch tokens create" in _found(said)["token"]["advice"]
    fake.routes["GET", "/readyz"] = problem(503, "server.unavailable", "not now")
    assert "not ready" in _found(remote("doctor", "--json"))["server"]["found"]


def test_a_server_that_is_none(remote: Run, fake: FakeServer, monkeypatch: pytest.MonkeyPatch):
    fake.routes["GET", "/healthz"] = {"hello": "world"}
    assert "not as hpsearch does" in _found(remote("doctor", "--json"))["server"]["found"]
    monkeypatch.setenv("HPSEARCH_SERVER", "http://127.0.0.1:1")
    said = remote("doctor", "--json")
    assert said.code == 1
    assert "does not answer" in _found(said)["server"]["found"]


def test_clocks_apart_are_told(remote: Run, fake: FakeServer, monkeypatch: pytest.MonkeyPatch):
    _healthy(fake)
    ahead = time.time() + 90
    monkeypatch.setattr(
        "http.server.BaseHTTPRequestHandler.date_time_string", lambda *_: formatdate(ahead, usegmt=True)
    )
    said = remote("doctor", "--json")
    check = _found(said)["clock of the server"]
    assert (said.code, check["status"]) == (0, "warn")
    assert "s ahead of this machine's" in check["found"]


def test_it_works_with_any_part_installed(hpsearch: Run, monkeypatch: pytest.MonkeyPatch, sqlite_url: str):
    real = doctor._version
    for absent, part in ((("fastapi", "sqlalchemy", "optuna", "uvicorn"), "server"), (("keras",), "worker")):
        monkeypatch.setattr(doctor, "_version", lambda name, absent=absent: None if name in absent else real(name))
        found = _found(hpsearch("doctor", "--json", "--database-url", sqlite_url))
        assert found[f"{part} part"]["status"] == {"server": "skip", "worker": "fail"}[part]
        assert ("database" in found, "gpu" in found) == (part == "worker", part == "server")
        assert f"hpsearch[{part}]" in found[f"{part} part"]["advice"]


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        ("print('native trained a small network in 1.0 s')", "ok", "native trained"),
        ("raise ImportError('libcudart.so is missing')", "fail", "libcudart.so is missing"),
        ("import os; os.abort()", "fail", "ended with -6"),
    ],
)
def test_training_in_a_process_of_its_own(
    hpsearch: Run, monkeypatch: pytest.MonkeyPatch, script: str, status: str, words: str
):
    monkeypatch.setattr(doctor, "_TRAIN", script)
    said = hpsearch("doctor", "--train", "--json")
    assert _found(said)["training"]["status"] == status
    assert words in _found(said)["training"]["found"]
    assert said.code == int(status == "fail")


def test_one_small_network_is_really_trained():
    from workers.training.conformance.first_trial import train_one

    name, took_s = train_one()
    assert name in {"native", "fused"}
    assert took_s > 0


class _Nvml:
    """A driver that answers, or not."""

    class NVMLError(Exception):
        def __str__(self) -> str:
            return "Driver Not Loaded"

    def __init__(self, n: int | None) -> None:
        self.n = n

    def nvmlInit(self) -> None:  # noqa: N802 - the name the package gives it
        if self.n is None:
            raise _Nvml.NVMLError

    def __getattr__(self, name: str) -> Any:
        answers = {"nvmlDeviceGetCount": self.n, "nvmlDeviceGetUUID": "GPU-1", "nvmlDeviceGetName": "H100"}
        memory = type("Memory", (), {"total": 80})
        return lambda *_: answers.get(name, memory)


@pytest.mark.parametrize(
    ("n", "visible", "words"),
    [(None, None, "Driver Not Loaded"), (0, None, "shows no GPU"), (1, "-1", "hides 1 GPU"), (1, None, None)],
)
def test_why_no_gpu_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, n: int | None, visible: str | None, words: str | None
):
    from workers import devices

    monkeypatch.setitem(sys.modules, "pynvml", _Nvml(n))
    monkeypatch.setattr(devices, "_DRIVER", tmp_path)
    reason = devices.why_no_gpu({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert (reason is None) == (words is None)
    assert words is None or words in str(reason)


def test_a_machine_without_a_gpu_is_not_asked_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from workers import devices

    monkeypatch.setitem(sys.modules, "pynvml", _Nvml(None))
    monkeypatch.setattr(devices, "_DRIVER", tmp_path / "none")
    monkeypatch.setattr(devices, "_DEVICES", tmp_path)
    assert devices.why_no_gpu({}) is None
