"""The curl session of the README, run as it stands against a real server and a worker that invents its results."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT
from tests.processes import address_of, hpsearch, running

_SESSION = re.search(
    r"<!-- run by tests/docs/test_readme.py -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL
)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the session is about curl, which this machine lacks")
def test_the_curl_session_ends_with_a_model(tmp_path: Path):
    assert _SESSION is not None
    data = tmp_path / "data"
    serve, log = hpsearch("serve", "--port", "0", "--data-dir", str(data)), tmp_path / "serve.log"
    with running(serve, log) as server:
        url = address_of(data, server, log)
        token = (data / "token").read_text(encoding="utf-8").strip()
        stub = {"HPSEARCH_STUB_ENGINE": "1", "HPSEARCH_TOKEN": token, "HPSEARCH_SERVER": url}
        work = hpsearch("worker", "--engine", "stub", "--work-dir", str(tmp_path / "work"))
        with running(work, tmp_path / "worker.log", environment=stub):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", _SESSION[1]],
                cwd=tmp_path, env={**os.environ, "URL": url, "TOKEN": token},
                capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "best.keras").stat().st_size > 0
    boards = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert all(board["metric"] == "accuracy" for board in boards)
