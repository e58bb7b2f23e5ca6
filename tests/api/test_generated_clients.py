"""Clients that public generators make from the OpenAPI document: without a warning, and good for a whole study."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Live, Worker, eventually
from tests.required import lacking

_SESSIONS = Path(__file__).with_name("clients")
_MODEL = b"bytes of a model "


def _run(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **(environment or {})},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def document(live: Live, tmp_path: Path) -> Path:
    """The document as the server gives it."""
    path = tmp_path / "openapi.json"
    with live.client() as client:
        path.write_text(client.get("/openapi.json").text, encoding="utf-8")
    return path


def _whole_study(live: Live, command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what a session printed; its trials are finished here meanwhile."""
    model, token = cwd / "best.keras", live.admin["Authorization"].removeprefix("Bearer ")
    with live.client() as client, ThreadPoolExecutor(1) as pool:
        session = pool.submit(_run, command, cwd, {"URL": live.url, "TOKEN": token, "MODEL": str(model), **environment})
        eventually(lambda: session.done() or bool(client.get("/v1/studies").json()["items"]), within_s=60)
        if not session.done():
            Worker.register(client, live.admin).finish(3, model=_MODEL)  # and the refit
        done = session.result()
    assert done.returncode == 0, done.stderr
    assert model.read_bytes().startswith(_MODEL)
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def test_a_python_client_serves_a_whole_study(live: Live, document: Path, tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    command = [str(programs / "openapi-python-client"), "generate", "--path", str(document), "--output-path", "client"]
    # It looks for ruff on the PATH, to write its code in good style.
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    made = _run([*command, "--fail-on-warning"], tmp_path, {"PATH": path})
    assert (made.returncode, "WARNING" in made.stdout + made.stderr) == (0, False), made.stdout + made.stderr
    session = [sys.executable, str(_SESSIONS / "session.py")]
    said = _whole_study(live, session, tmp_path, {"PYTHONPATH": str(tmp_path / "client")})
    assert said == {
        "state": "COMPLETED", "ranks": [1, 2], "listed": ["from Python"], "missing": "study.not_found",
    }  # fmt: skip


@pytest.fixture
def typescript(tmp_path: Path) -> Iterator[Path]:
    """A folder with the generator and the compiler."""
    npm = shutil.which("npm")
    work = tmp_path / "typescript"
    shutil.copytree(_SESSIONS, work, ignore=shutil.ignore_patterns("node_modules"))
    fetched = _run([npm or "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], work) if npm else None
    if fetched is None or fetched.returncode:
        why = fetched.stderr[-300:] if fetched else "there is no npm"
        lacking("NPM", f"THE TYPESCRIPT CLIENT WAS NOT MADE: {why}")
    yield work
    shutil.rmtree(work)


@pytest.mark.slow
def test_a_typescript_client_serves_a_whole_study(live: Live, document: Path, typescript: Path) -> None:
    programs = typescript / "node_modules" / ".bin"
    options = ["--input", str(document), "--output", "generated", "--client", "@hey-api/client-fetch"]
    made = _run([str(programs / "openapi-ts"), *options, "--no-log-file"], typescript)
    assert (made.returncode, "warn" in (made.stdout + made.stderr).lower()) == (0, False), made.stdout + made.stderr
    compiled = _run(
        [str(programs / "tsc"), "--strict", "--skipLibCheck", "--target", "es2022", "--module", "commonjs",
         "--moduleResolution", "node10", "session.ts"],
        typescript,
    )  # fmt: skip
    assert compiled.returncode == 0, compiled.stdout
    said = _whole_study(live, ["node", "session.js"], typescript, {})
    assert said == {
        "state": "COMPLETED", "ranks": [1, 2], "listed": ["from TypeScript"], "missing": "study.not_found",
    }  # fmt: skip


def test_the_lock_names_no_registry() -> None:
    lock = json.loads((_SESSIONS / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: facts for name, facts in lock["packages"].items() if name}
    assert len(packages) > 20
    assert all("resolved" not in facts for facts in packages.values())
