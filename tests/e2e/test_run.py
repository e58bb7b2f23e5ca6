"""`hpsearch run` for real: child processes, SQLite, signals; it ends with the model, or can always be continued."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

N_POINTS = 12
# A grid small enough to end in seconds with the stub, large enough to be interrupted in.
STUDY: dict[str, Any] = {
    "name": "flow",
    "dataset": {"builtin": "iris"},
    "space": {
        "layers": {"values": [1, 2]},
        "units": {"values": [4, 8]},
        "learning_rate": {"values": [0.001, 0.01, 0.1]},
    },
    "algorithm": {"kind": "grid"},
    "training": {"max_epochs": 5},
}
# Leases short enough that what a killed worker held is given out again within the test.
RHYTHM = {"HPSEARCH_LEASE_S": "3", "HPSEARCH_HEARTBEAT_S": "0.5", "HPSEARCH_REAPER_S": "0.5"}
STUB = {
    "HPSEARCH_WORKER_ENGINE": "stub",
    "HPSEARCH_STUB_ENGINE": "1",
    "HPSEARCH_STUB_EPOCH_S": "0.2",
    "HPSEARCH_STUB_PACK": "2",
}


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)


@dataclass
class Desk:
    """A folder with a study in it, a data directory, and the commands run there."""

    folder: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        with (self.folder / f"err{len(self.started)}.txt").open("w") as err:
            process = subprocess.Popen(
                [sys.executable, "-m", "hpsearch.cli", *arguments],
                cwd=self.folder,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
            )
        self.started.append(process)
        return process

    def said(self, index: int = -1) -> str:
        """What a command wrote to stderr."""
        return (self.folder / f"err{range(len(self.started))[index]}.txt").read_text()

    def end(self, process: subprocess.Popen[str], timeout_s: float = 120.0) -> tuple[int, str]:
        out, _ = process.communicate(timeout=timeout_s)
        return process.returncode, out

    def call(self, *arguments: str, code: int = 0) -> str:
        returned, out = self.end(self.start(*arguments))
        assert returned == code, f"{arguments}: exit code {returned}\n{out}\n{self.said()}"
        return out

    def study(self) -> dict[str, Any]:
        """The newest study as the API shows it, asked of the running local server."""
        note = json.loads((self.data / "server.json").read_text())
        from hpsearch.client import Client

        with Client(note["url"], (self.data / "token").read_text().strip()) as client:
            return client.studies.list().items[0].model_dump(mode="json")

    def n_finished(self) -> int:
        try:
            return int(self.study()["n_trials"])
        except Exception:  # noqa: BLE001 - not up yet
            return -1

    def family(self) -> list[psutil.Process]:
        """Every living process that works on this data directory."""
        found = []
        for process in psutil.process_iter(["pid", "environ", "cmdline", "status"]):
            environ = process.info["environ"] or {}
            ours = environ.get("HPSEARCH_TEST_DESK") == str(self.folder)
            if ours and process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def part(self, name: str) -> psutil.Process:
        """The child process that runs `hpsearch serve` or `hpsearch worker`."""
        return next(
            p for p in self.family() if "hpsearch.cli.parent_watch" in p.info["cmdline"] and name in p.info["cmdline"]
        )


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    environment = {"HPSEARCH_DATA_DIR": str(tmp_path / "data"), "HPSEARCH_TEST_DESK": str(tmp_path), **RHYTHM, **STUB}
    desk = Desk(tmp_path, environment)
    yield desk
    left = desk.family()
    for process in left:
        process.kill()
    for started in desk.started:
        started.wait()
        if started.stdout:
            started.stdout.close()


def ended_well(desk: Desk, out: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert result["state"] == "COMPLETED"
    assert result["n_trials"] == N_POINTS
    assert Path(result["model"]).is_file()
    wait_for(lambda: not desk.family(), "nothing is left running", 20)
    assert not (desk.data / "server.json").exists()
    return result


@pytest.mark.slow
def test_a_study_runs_from_file_to_model_and_leaves_nothing_running(desk: Desk):
    result = ended_well(desk, desk.call("run", "study.yaml", "--json", "--workers", "2"))
    assert result["end_reason"] in ("space_exhausted", "max_trials")
    assert set(result["best"]) == {"trial_id", "value", "params", "metrics"}
    assert (desk.data / "token").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in (desk.data / "logs").iterdir()} == {"server.log", "worker-1.log", "worker-2.log"}
    token = (desk.data / "token").read_text().strip()
    assert not any(token in path.read_text() for path in (desk.data / "logs").iterdir())
    again = json.loads(desk.call("run", "study.yaml", "--json"))
    assert again == result, "a complete study prints its result again"
    assert "--new searches again" in desk.said()
    board = json.loads(desk.call("leaderboard", "flow", "--json"))
    assert len([row for row in board["items"] if row["kind"] == "search"]) == N_POINTS
    assert board["items"][0]["trial_id"] == result["best"]["trial_id"]


@pytest.mark.slow
def test_an_interrupted_study_is_continued_by_the_same_command(desk: Desk):
    first = desk.start("run", "study.yaml", "--json")
    wait_for(lambda: desk.n_finished() >= 2, "two finished trials")
    study_id = desk.study()["study_id"]
    first.send_signal(signal.SIGINT)
    code, out = desk.end(first, 30)
    assert (code, out) == (130, "")
    assert "run the same command again to continue" in desk.said()
    wait_for(lambda: not desk.family(), "nothing is left running", 10)
    result = ended_well(desk, desk.call("run", "study.yaml", "--json"))
    assert result["study_id"] == study_id
    assert f"of {N_POINTS} trials done" in desk.said()
    trials = json.loads(desk.call("trials", "flow", "--json", "--limit", "100"))["items"]
    assert len(trials) == N_POINTS + 3, "every grid point once, two baselines and the refit"
    assert sorted(trial["grid_index"] for trial in trials if trial["kind"] == "search") == list(range(N_POINTS))


@pytest.mark.slow
def test_whatever_is_killed_the_same_command_continues(desk: Desk):
    first = desk.start("run", "study.yaml", "--json")
    wait_for(lambda: desk.n_finished() >= 1, "a finished trial")
    study_id = desk.study()["study_id"]
    first.kill()
    desk.end(first)
    wait_for(lambda: not desk.family(), "server, worker and trainers are gone with their command", 30)
    second = desk.start("run", "study.yaml", "--json")
    wait_for(lambda: desk.n_finished() >= 4, "more finished trials")
    for process in desk.family():
        process.kill()
    desk.end(second)
    result = ended_well(desk, desk.call("run", "study.yaml", "--json"))
    assert result["study_id"] == study_id


@pytest.mark.slow
def test_killed_children_are_started_again(desk: Desk):
    first = desk.start("run", "study.yaml", "--json")
    for n_finished, part in ((1, "worker"), (4, "serve")):
        wait_for(lambda: desk.n_finished() >= n_finished, f"{n_finished} finished trials")  # noqa: B023 - called at once
        desk.part(part).kill()
    code, out = desk.end(first)
    assert code == 0, desk.said()
    ended_well(desk, out)
    assert "The worker 1 was ended by SIGKILL" in desk.said()
    assert "The server was ended by SIGKILL" in desk.said()
    assert desk.said().count("It is started again") == 2


@pytest.mark.slow
def test_two_commands_at_once_share_one_server(desk: Desk):
    other = STUDY | {"name": "other"}
    (desk.folder / "other.yaml").write_text(yaml.safe_dump(other))
    runs = [desk.start("run", f"{name}.yaml", "--json", "--out", f"{name}.keras") for name in ("study", "other")]
    results = [desk.end(run) for run in runs]
    assert [code for code, _ in results] == [0, 0], [desk.said(0), desk.said(1)]
    documents = [json.loads(out) for _, out in results]
    assert {document["n_trials"] for document in documents} == {N_POINTS}
    assert documents[0]["study_id"] != documents[1]["study_id"]
    wait_for(lambda: not desk.family(), "nothing is left running", 20)


@pytest.mark.slow
def test_a_remote_server_with_workers_of_its_own(desk: Desk):
    server = desk.start("serve", "--port", "0", "--workers", "1")
    assert server.stdout is not None
    url = server.stdout.readline().split()[-1]
    token = desk.call("tokens", "create", "--scope", "submit,read", "--server", url).strip()
    elsewhere = desk.folder / "elsewhere"
    remote = ["--server", url, "--token", token, "--data-dir", str(elsewhere)]
    result = json.loads(desk.call("run", "study.yaml", "--json", *remote))
    assert (result["state"], result["n_trials"]) == ("COMPLETED", N_POINTS)
    assert not elsewhere.exists(), "nothing local was started"
    watched = desk.call("submit", "study.yaml", "--watch", "--json", *remote)
    assert json.loads(watched)["state"] == "COMPLETED"
    assert json.loads(desk.call("studies", "--json", *remote))["items"][1]["study_id"] == result["study_id"]
    refused = desk.start("tokens", "list", *remote)
    assert desk.end(refused)[0] == 1
    server.send_signal(signal.SIGTERM)
    assert desk.end(server)[0] == 0
    wait_for(lambda: not desk.family(), "the server took its workers along", 10)


def test_trials_that_fail_end_with_the_reason(desk: Desk):
    desk.environment["HPSEARCH_STUB_FAULTS"] = "error:layers=1,error:layers=2"
    study = STUDY | {"budget": {"max_failed": 2}, "baselines": False}
    (desk.folder / "study.yaml").write_text(yaml.safe_dump(study))
    out = desk.call("run", "study.yaml", code=3)
    assert "No trial came to a result." in out
    assert "training_error: RuntimeError: the stub was told to fail" in out
    assert not (desk.folder / "best.keras").exists()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_real_training_leaves_a_model_that_predicts(desk: Desk):
    for name in STUB:
        del desk.environment[name]
    rows = [f"{i % 7},{'red' if i % 2 else ''},{'yes' if i % 7 > 3 else 'no'}" for i in range(120)]
    (desk.folder / "data.csv").write_text("\n".join(["size,colour,big", *rows]) + "\n")
    study = {
        "name": "real",
        "dataset": {"path": "data.csv", "target": "big"},
        "space": {"layers": 1, "units": 16, "learning_rate": {"values": [0.01, 0.03]}, "batch_size": 16},
        "algorithm": {"kind": "grid"},
        "training": {"max_epochs": 12},
        "baselines": False,
    }
    (desk.folder / "study.yaml").write_text(yaml.safe_dump(study))
    result = json.loads(desk.call("run", "study.yaml", "--json", "--out", "real.keras"))
    assert (result["state"], result["n_trials"]) == ("COMPLETED", 2)
    assert result["best"]["value"] > 0.9
    (desk.folder / "new.csv").write_text("colour,size\nred,6\n,0\nnever seen,5\n")
    assert desk.call("predict", "real.keras", "new.csv").splitlines() == ["prediction", "yes", "no", "yes"]
    assert desk.said() == "", "nothing but predictions is printed"
    out = desk.call("predict", "real.keras", "study.yaml", code=1)
    assert out == ""
    assert desk.said().startswith("Error: ")
    assert "Traceback" not in desk.said()
