"""Backups: taken from a service at work, put in place elsewhere, and never half of anything."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from api.app import create_app
from hpsearch.errors import ConflictError, HpsearchError, InvalidInputError, UnavailableError
from hpsearch.service import tokens
from hpsearch.service.context import Context
from hpsearch.service.operations import backup
from hpsearch.service.queue.filling import fill
from hpsearch.service.results import models
from hpsearch.service.studies import crud
from hpsearch.settings import Settings
from hpsearch.storage import migrate, snapshot
from hpsearch.wire.tokens import TokenRequest
from tests.databases import RunDirectory, fresh_database
from tests.postgres import find_binaries
from tests.processes import hpsearch
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, open_studies


@pytest.fixture(autouse=True)
def _client_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's programs of the same version as the server of this run."""
    if "HPSEARCH_TEST_PG_URL" not in os.environ:
        monkeypatch.setenv("PATH", f"{find_binaries().folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def elsewhere(database_url: str, tmp_path: Path, run_directory: RunDirectory) -> Iterator[Settings]:
    """Settings of another machine: nothing there yet, the same kind of database."""
    folder = tmp_path / "elsewhere"
    if database_url.startswith("sqlite"):
        yield Settings(data_dir=folder)
        return
    with fresh_database(run_directory, migrated=False) as url:
        yield Settings(data_dir=folder, database_url=url)


def _trained(ctx: Context, content: bytes, name: str = "iris") -> str:
    """Return the id of a study whose best trial left a model."""
    study = crud.create(ctx, ADMIN, definition(name=name))
    worker = StubWorker(ctx)
    trial = worker.one()
    path = ctx.content.new_temporary()
    path.write_bytes(content)
    models.put(ctx, ADMIN, worker.worker_id, trial.trial_id, trial.attempt, path)
    assert worker.report(trial, complete(0.9)).status == "accepted"
    return study.study_id


def test_a_model_is_downloaded_from_what_was_restored(context: Context, elsewhere: Settings, tmp_path: Path):
    study_id = _trained(context, b"the model")
    token = tokens.create(context, TokenRequest(name="reader", scopes=("read",))).token
    file, manifest = backup.save(context.settings, tmp_path)
    assert file.stat().st_mode & 0o077 == 0, "it holds everybody's data"
    context.close()  # the old machine is gone
    assert backup.restore(elsewhere, file) == manifest
    with TestClient(create_app(elsewhere)) as client:
        answer = client.get(f"/v1/studies/{study_id}/model", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.content) == (200, b"the model")


@dataclass
class _Busy:
    """A study whose every trial is better than those before, so that each model soon makes way for the next."""

    ctx: Context
    n_done: int = 0

    def train(self, stop: threading.Event) -> None:
        study = crud.create(self.ctx, ADMIN, definition(budget={"max_trials": 5000}))
        worker, (study_id,) = StubWorker(self.ctx), open_studies(self.ctx)
        assert study.state == "RUNNING"
        while not stop.is_set():
            fill(self.ctx, study_id)
            for trial in worker.claim(4).trials:
                value = 0.1 + self.n_done * 1e-4
                path = self.ctx.content.new_temporary()
                path.write_text(f"{value}")
                models.put(self.ctx, ADMIN, worker.worker_id, trial.trial_id, trial.attempt, path)
                worker.report(trial, complete(value), epochs=(1, 2, 3))
                models.drop_beaten(self.ctx, study_id)
                self.n_done += 1

    @contextlib.contextmanager
    def going(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self.train, args=(stop,))
        thread.start()
        try:
            while self.n_done < 5 and thread.is_alive():
                time.sleep(0.01)
            yield
        finally:
            stop.set()
            thread.join()


def test_a_backup_of_a_busy_service_is_of_one_moment(
    context: Context, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    busy, copy = _Busy(context), backup._copy_content

    def copy_while_others_write(*arguments: Any) -> set[str]:
        missing = copy(*arguments)
        seen, deadline = busy.n_done, time.monotonic() + 20
        while busy.n_done < seen + 3 and time.monotonic() < deadline:
            time.sleep(0.005)
        return missing

    monkeypatch.setattr(backup, "_copy_content", copy_while_others_write)
    with busy.going():
        before = busy.n_done
        file, manifest = backup.save(context.settings, tmp_path / "busy.zip")
        assert busy.n_done >= before + 6
    assert manifest.missing == ()
    backup.restore(elsewhere, file)
    migrate.check(elsewhere.resolved_database_url)
    restored = Context.open(elsewhere)
    try:
        (study,) = crud.listing(restored, limit=10, page_token=None).items
        assert study.best is not None
        assert study.best.value is not None
        assert study.best.value >= 0.1 + (before - 1) * 1e-4
        assert models.of_study(restored, study.study_id).path.read_text() == f"{study.best.value}"
    finally:
        restored.close()


def test_a_target_that_holds_something_is_kept_unless_said(context: Context, elsewhere: Settings, tmp_path: Path):
    _trained(context, b"first")
    first, _ = backup.save(context.settings, tmp_path / "first.zip")
    _trained(context, b"second", "second")
    second, _ = backup.save(context.settings, tmp_path / "second.zip")
    backup.restore(elsewhere, first)
    with pytest.raises(ConflictError, match=r"not empty.*--replace"):
        backup.restore(elsewhere, second)
    assert _n_studies(elsewhere) == 1
    backup.restore(elsewhere, second, replace=True)
    assert _n_studies(elsewhere) == 2
    with pytest.raises(ConflictError, match="exists already"):
        backup.save(context.settings, first)


def _n_studies(settings: Settings) -> int:
    opened = Context.open(settings)
    try:
        return len(crud.listing(opened, limit=100, page_token=None).items)
    finally:
        opened.close()


def _altered(file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Return a copy of an archive with some of its members changed."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    copy = file.with_name(f"altered-{file.name}")
    with zipfile.ZipFile(copy, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return copy


def _manifest(**changes: object) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        manifest = json.loads(members["manifest.json"])
        manifest["database"] |= changes
        members["manifest.json"] = json.dumps(manifest).encode()

    return change


def _damaged(prefix: str) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        name = next(name for name in members if name.startswith(prefix))
        members[name] = members[name][:-1] + b"?"

    return change


def _lost(members: dict[str, bytes]) -> None:
    del members[next(name for name in members if name.startswith("content/"))]


def test_what_is_damaged_or_does_not_fit_changes_nothing(context: Context, elsewhere: Settings, tmp_path: Path):
    _trained(context, b"the model")
    file, _ = backup.save(context.settings, tmp_path / "b.zip")
    other = {"sqlite": "postgresql", "postgresql": "sqlite"}[context.store.dialect.name]
    files = ((_damaged("content/"), ConflictError, "is damaged"), (_lost, ConflictError, "is damaged"))
    for change, error, message in (
        *(files if context.store.dialect.name == "sqlite" else ()),  # on PostgreSQL the database holds all
        (_damaged("database"), ConflictError, "is damaged"),
        (_manifest(revision="9999"), ConflictError, "newer than this one"),
        (_manifest(dialect=other), InvalidInputError, "both must be of one kind"),
        (lambda members: members.pop("manifest.json"), InvalidInputError, "no whole backup"),
    ):
        with pytest.raises(error, match=message):
            backup.restore(elsewhere, _altered(file, change))
        assert snapshot.is_empty(elsewhere.resolved_database_url)
    half = tmp_path / "half.zip"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InvalidInputError, match="no whole backup"):
        backup.restore(elsewhere, half)


def test_nothing_is_put_under_a_running_server(context: Context, elsewhere: Settings, tmp_path: Path):
    _trained(context, b"the model")
    file, _ = backup.save(context.settings, tmp_path / "b.zip")
    with (
        TestClient(create_app(elsewhere)),  # it beats, as every server does
        pytest.raises(ConflictError) as refused,
    ):
        backup.restore(elsewhere, file, replace=True)
    assert refused.value.code == "database.in_use"
    assert _n_studies(elsewhere) == 0


def test_a_lost_file_is_told_and_the_rest_is_saved(context: Context, tmp_path: Path):
    study_id = _trained(context, b"lost")
    _trained(context, b"kept", "kept")
    lost = models.of_study(context, study_id)
    for name in list(context.content.store.names()):
        if name.startswith(lost.digest):
            context.content.store.delete(name)
    _, manifest = backup.save(context.settings, tmp_path / "b.zip")
    assert manifest.missing == (lost.digest,)
    assert hashlib.sha256(b"kept").hexdigest() in {content.sha256 for content in manifest.content}


def test_postgresql_takes_all_of_a_copy_or_nothing(postgres_url: str, tmp_path: Path):
    settings = Settings(data_dir=tmp_path / "data", database_url=postgres_url)
    context = Context.open(settings)
    _trained(context, b"the model")
    context.close()
    file, _ = backup.save(settings, tmp_path / "b.zip")

    def break_off(members: dict[str, bytes]) -> None:
        members["database.sql"] += b"\nSELECT 1 / 0;\n"
        _manifest(sha256=hashlib.sha256(members["database.sql"]).hexdigest())(members)

    with pytest.raises(UnavailableError, match="division by zero"):
        backup.restore(settings, _altered(file, break_off), replace=True)
    assert _n_studies(settings) == 1


def test_without_the_programs_of_postgresql_a_sentence_says_what_to_install(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("hpsearch.storage.pg_tools._INSTALLED", tmp_path)
    settings = Settings(data_dir=tmp_path / "data", database_url=postgres_url)
    with pytest.raises(HpsearchError, match=r"pg_dump is needed.*postgresql-client"):
        backup.save(settings, tmp_path / "b.zip")
    assert not list(tmp_path.glob("*.zip"))


def test_the_password_is_in_no_list_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "pg_dump"
    program.write_text(
        '#!/bin/sh\necho "$PGPASSWORD" > "$(dirname "$0")/env"; echo "$@" > "$(dirname "$0")/arguments"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    from hpsearch.storage import pg_tools
    from hpsearch.storage.engine import parse_url

    pg_tools.run("pg_dump", parse_url("postgresql://me:geheim@db:5433/x?sslmode=require"))
    assert (tmp_path / "env").read_text() == "geheim\n"
    assert (tmp_path / "arguments").read_text() == "--dbname postgresql://me@db:5433/x?sslmode=require\n"


def _killed(command: list[str], folder: Path) -> int:
    """Run a command, kill it as soon as it has begun to write, and return its status."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(folder.glob(".hpsearch-copy-*")):
        time.sleep(0.001)
    process.kill()
    return process.wait()


def test_one_that_is_killed_leaves_nothing_half(sqlite_url: str, tmp_path: Path):
    here = Settings(data_dir=tmp_path / "data", database_url=sqlite_url)
    context = Context.open(here)
    _trained(context, os.urandom(20_000_000))
    context.close()
    out, there = tmp_path / "out", tmp_path / "there"
    out.mkdir()
    there.mkdir()
    save = hpsearch("db", "backup", str(out / "b.zip"), "--data-dir", str(here.data_dir), "--database-url", sqlite_url)
    assert _killed(save, out) == -9
    assert not (out / "b.zip").exists()
    subprocess.run(save, check=True, capture_output=True)
    restore = hpsearch("db", "restore", str(out / "b.zip"), "--data-dir", str(there))
    assert _killed(restore, there) == -9
    assert not (there / "hpsearch.sqlite3").exists()
    subprocess.run(restore, check=True, capture_output=True)
    assert _n_studies(Settings(data_dir=there)) == 1
