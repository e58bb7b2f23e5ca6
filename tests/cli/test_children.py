"""Child processes: they say why they ended, leave nothing behind and do not outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from hpsearch.local import children
from hpsearch.local.children import Child, start, stop
from tests.cli.conftest import FakeServer

ENVIRONMENT = {"HPSEARCH_TOKEN": "hps_0_classified", "HPSEARCH_STUB_ENGINE": "1", "HPSEARCH_DATA_DIR": "/nonexistent"}


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 40.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def arguments(fake: FakeServer, tmp_path: Path) -> list[str]:
    """A worker of a server without work: a real process of ours, with a child, that lives until it is told to go."""
    fake.routes["POST", "/v1/workers"] = (201, {"worker_id": "w1", "heartbeat_s": 0.5, "lease_s": 3.0})
    fake.routes["POST", "/v1/workers/w1/claims"] = {"trials": [], "lease_s": 3.0}
    options = ["--engine", "stub", "--trainers", "1", "--work-dir", str(tmp_path / "w")]
    return ["worker", "--server", fake.url, *options]


@pytest.fixture
def waiting(arguments: list[str], tmp_path: Path) -> Iterator[Child]:
    child = start("worker 1", arguments, log=tmp_path / "logs" / "w.log", environment=ENVIRONMENT)
    yield child
    stop([child], 0)


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_a_child_works_until_stopped_and_leaves_nothing(waiting: Child):
    wait_for(lambda: len(family(waiting.process.pid)) > 1, "the trainer has started")
    processes = family(waiting.process.pid)
    assert waiting.is_alive
    stop([waiting], 20)
    assert not waiting.is_alive
    assert waiting.process.returncode == 0, "SIGTERM ends a worker politely"
    wait_for(lambda: not living(processes), "the trainer is gone too")


def test_a_killed_child_is_buried_with_its_own_children(waiting: Child):
    wait_for(lambda: len(family(waiting.process.pid)) > 1, "the trainer has started")
    processes = family(waiting.process.pid)
    waiting.process.kill()
    waiting.process.wait()
    children.kill_group(waiting)
    wait_for(lambda: not living(processes), "the trainer is gone")
    assert "was ended by SIGKILL" in waiting.exit_report()


def test_children_do_not_outlive_a_killed_parent(arguments: list[str], tmp_path: Path):
    code = f"""
import sys, time
from pathlib import Path
from hpsearch.local.children import start
child = start("worker 1", {arguments!r}, log=Path({str(tmp_path / "w.log")!r}),
              environment={ENVIRONMENT!r})
print(child.process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            pid = int(parent.stdout.readline())
            wait_for(lambda: len(family(pid)) > 1, "the trainer has started")
            processes = family(pid)
        finally:
            parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not living(processes), "worker and trainer are gone")


def test_a_child_whose_parent_is_gone_already_ends_at_once():
    ran = subprocess.run(
        [sys.executable, "-m", "hpsearch.cli.parent_watch", "1", "version"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, b"")


def finished(child: Child) -> Child:
    child.process.wait(timeout=60)
    return child


def test_last_words_are_the_childs_own_sentence(tmp_path: Path):
    log = tmp_path / "x.log"
    log.write_text("Error: an old story\n")
    child = finished(start("worker 1", ["worker", "--server", "nonsense", "--token", "x"], log=log))
    words = child.exit_report()
    assert words.startswith("The worker 1 ended with exit code 1: the server's address must look like http://host:port")
    assert words.endswith(f"(its log is {log})")
    assert "old story" not in words
    assert log.read_text().startswith("Error: an old story\n")


def test_last_words_without_a_sentence_are_the_end_of_the_log(tmp_path: Path):
    child = finished(start("server", ["version"], log=tmp_path / "x.log"))
    assert child.exit_report().splitlines()[0].startswith("The server ended with exit code 0; the end of its log")
    child.log.unlink()
    assert child.tail() == []


def test_a_huge_log_is_moved_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "_MAX_LOG_BYTES", 10)
    log = tmp_path / "x.log"
    log.write_text("x" * 11)
    finished(start("server", ["version"], log=log))
    assert (tmp_path / "x.old.log").read_text() == "x" * 11
    assert log.read_text().count("\n") == 1


def test_logs_are_for_their_owner_only(tmp_path: Path):
    child = finished(start("server", ["version"], log=tmp_path / "logs" / "x.log"))
    assert child.log.stat().st_mode & 0o077 == 0


def test_the_users_folder_is_not_searched_for_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("hpsearch", "typer", "api"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the user was run')\n")
    monkeypatch.chdir(tmp_path)
    child = finished(start("server", ["version"], log=tmp_path / "x.log"))
    assert child.process.returncode == 0
    assert "was run" not in child.log.read_text()


def test_secrets_travel_in_the_environment(waiting: Child):
    command = psutil.Process(waiting.process.pid).cmdline()
    assert not any("classified" in part for part in command)
    wait_for(waiting.tail, "its first words")
    assert "classified" not in waiting.log.read_text()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux pins processes to CPUs, other systems do not")
def test_a_child_may_be_given_a_share_of_the_cpus(arguments: list[str], tmp_path: Path):
    from hpsearch.local.environment import CPUS_VARIABLE

    cpu = min(os.sched_getaffinity(0))
    environment = ENVIRONMENT | {CPUS_VARIABLE: str(cpu)}
    child = start("worker 1", arguments, log=tmp_path / "x.log", environment=environment)
    try:
        wait_for(lambda: os.sched_getaffinity(child.process.pid) == {cpu}, "the child is pinned")
    finally:
        stop([child], 0)
