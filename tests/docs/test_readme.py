"""The curl session of the README, run as it stands against a real server and a worker that invents its results."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT

_SESSION = re.search(
    r"<!-- run by tests/docs/test_readme.py -->\n```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL
)


@contextlib.contextmanager
def _running(*arguments: str, cwd: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with (cwd / f"{arguments[0]}.log").open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "hpsearch.cli", *arguments],
            cwd=cwd, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _address(data: Path, server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            url: str = json.loads((data / "server.json").read_text(encoding="utf-8"))["url"]
            return url
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the session is about curl, which this machine lacks")
def test_the_curl_session_ends_with_a_model(tmp_path: Path):
    assert _SESSION is not None
    data = tmp_path / "data"
    with _running("serve", "--port", "0", "--data-dir", str(data), cwd=tmp_path) as server:
        url = _address(data, server, tmp_path / "serve.log")
        token = (data / "token").read_text(encoding="utf-8").strip()
        stub = {"HPSEARCH_STUB_ENGINE": "1", "HPSEARCH_TOKEN": token, "HPSEARCH_SERVER": url}
        with _running("worker", "--engine", "stub", "--work-dir", str(tmp_path / "work"), cwd=tmp_path, **stub):
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", _SESSION[1]],
                cwd=tmp_path, env={**os.environ, "URL": url, "TOKEN": token},
                capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "best.keras").stat().st_size > 0
    boards = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert all(board["metric"] == "accuracy" for board in boards)
