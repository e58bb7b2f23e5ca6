"""The commands of docker-compose.yml, run as they stand but for folders and addresses: prepare, serve, work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpsearch.client import Client
from tests.architecture.checkout import ROOT
from tests.processes import address_of, running, said

_SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


def _script(service: str, replaced: dict[str, str]) -> list[str]:
    """Return the command of a service as its container would run it."""
    words = [*_SERVICES[service].get("entrypoint", ["hpsearch"]), *_SERVICES[service]["command"]]
    script = str(words[-1]).replace("$$", "$")
    for old, new in replaced.items():
        assert old in script, f"{service} does not mention {old}"
        script = script.replace(old, new)
    return [*words[:-1], script]


def _environment(**values: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **values, "PATH": path}


@pytest.mark.slow
def test_the_stack_works_from_an_empty_database(postgres_url: str, tmp_path: Path):
    data, tokens = tmp_path / "data", tmp_path / "tokens"
    tokens.mkdir()
    settings = _environment(HPSEARCH_DATA_DIR=str(data), HPSEARCH_DATABASE_URL=postgres_url)
    prepare = _script("prepare", {"/tokens": str(tokens)})
    for _ in range(2):  # the second start of the stack finds everything there
        subprocess.run(prepare, env=settings, check=True, capture_output=True, timeout=120)
        kept = (tokens / "worker").read_text(encoding="utf-8")
    assert (tokens / "worker").stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tokens.iterdir()) == ["worker"]
    serve = ["hpsearch", *_SERVICES["server"]["command"]]
    serve[serve.index("--host") + 1], serve[serve.index("--port") + 1] = "127.0.0.1", "0"
    with running(serve, tmp_path / "serve.log", environment=settings) as server:
        url = address_of(data, server, tmp_path / "serve.log")
        work = _script("worker", {"/tokens": str(tokens), "http://server:8000": url})
        stub = _environment(HPSEARCH_STUB_ENGINE="1", HPSEARCH_WORKER_ENGINE="stub", HPSEARCH_DATA_DIR=str(tmp_path))
        admin = (data / "token").read_text(encoding="utf-8").strip()
        with Client(url, admin) as client, running(work, tmp_path / "worker.log", environment=stub):
            deadline = time.monotonic() + 60
            while not client.workers.list().items and time.monotonic() < deadline:
                time.sleep(0.2)
            assert [worker.state for worker in client.workers.list().items] == ["ACTIVE"], said(tmp_path / "worker.log")
            listed = {token.name: token.scopes for token in client.tokens.list()}
    assert listed["compose-worker"] == ("worker",)
    assert kept == (tokens / "worker").read_text(encoding="utf-8"), "the workers' token outlives a restart"
