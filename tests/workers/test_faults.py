"""What is killed, frozen, cut off or refused: the worker goes on, and gives back what it can not finish."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.workers.conftest import WorkerProcess, wait_until
from tests.workers.fake_server import Answer, FakeServer, FakeTrial, epochs_of, problem

Start = Callable[..., WorkerProcess]
SLOW = {"epoch_s": "0.1", "epochs": "200"}


def in_training(trial: FakeTrial) -> Callable[[], bool]:
    return lambda: bool(epochs_of(trial, trial.attempt)) and trial.state == "RUNNING"


def test_a_killed_trainer_is_reported_and_replaced(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    worker = start_worker(stub=SLOW)
    wait_until(in_training(trial))
    child = worker.trainers()[0]
    killed_s = time.monotonic()
    child.kill()
    wait_until(lambda: trial.endings)
    assert time.monotonic() - killed_s < 2.0
    outcome = trial.endings[0][1]
    assert (outcome.state, outcome.cause) == ("FAILED", "crashed")
    assert "SIGKILL" in (outcome.detail or "")
    assert outcome.device_seconds > 0
    after = server.add(1)[0]
    wait_until(in_training(after))
    assert worker.trainers()[0].pid != child.pid


def test_a_trial_that_kills_its_trainer_harms_no_other(server: FakeServer, start_worker: Start):
    server.add(3)
    start_worker(stub={"faults": "kill:units=1"})
    wait_until(server.is_done)
    assert server.states() == ["COMPLETE", "FAILED", "COMPLETE"]
    assert server.trials["trial-1"].outcome is not None
    assert server.trials["trial-1"].outcome.cause == "crashed"


def test_a_trainer_without_progress_is_killed(start_worker: Start, server: FakeServer):
    server.study = server.study.model_copy(
        update={"training": server.study.training.model_copy(update={"stall_timeout_s": 0.8})}
    )
    server.add(2)
    start_worker(stub={"faults": "hang:units=0"})
    wait_until(server.is_done)
    assert server.states() == ["FAILED", "COMPLETE"]
    outcome = server.trials["trial-0"].outcome
    assert outcome is not None
    assert outcome.cause == "stalled"
    assert "0.8 s" in (outcome.detail or "")


def test_sigterm_gives_trials_back_at_once_and_leaves_nothing_behind(server: FakeServer, start_worker: Start):
    trials = server.add(2)
    worker = start_worker(trainers=2, stub=SLOW)
    wait_until(lambda: all(in_training(trial)() for trial in trials))
    children = worker.trainers()
    server.paused = True
    worker.process.terminate()
    assert worker.wait(4) == 0
    for trial in trials:
        outcome = trial.endings[-1][1]
        assert (outcome.state, outcome.cause) == ("RELEASED", "shutdown")
        assert trial.state == "WAITING"
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    assert [path.name for path in worker.work_dir.iterdir()] == ["data"]


def test_ctrl_c_is_the_same(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    worker = start_worker(stub=SLOW)
    wait_until(in_training(trial))
    for process in (*worker.trainers(), psutil.Process(worker.process.pid)):  # as a terminal does
        process.send_signal(signal.SIGINT)
    assert worker.wait(4) == 0
    assert trial.endings[-1][1].cause == "shutdown"


def test_without_a_server_sigterm_still_ends_within_seconds_and_twice_at_once(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    worker = start_worker(stub=SLOW)
    wait_until(in_training(trial))
    server.stop()
    child = worker.trainers()[0]
    worker.process.terminate()
    time.sleep(0.3)
    assert worker.process.poll() is None  # it tries for a while to give the trial back
    worker.process.terminate()
    assert worker.wait(2) == 128 + signal.SIGTERM
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 2)


def test_trainers_die_with_a_killed_supervisor(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    worker = start_worker(stub=SLOW)
    wait_until(in_training(trial))
    child = worker.trainers()[0]
    worker.process.kill()
    worker.process.wait()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 2)


def test_a_server_that_is_away_is_waited_for_and_told_the_very_same(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    worker = start_worker(stub={"epoch_s": "0.1", "epochs": "20"})
    wait_until(in_training(trial))
    n_before = len(epochs_of(trial, 1))
    server.stop()
    time.sleep(1.5)
    assert worker.process.poll() is None
    server.start()
    wait_until(server.is_done)
    assert trial.state == "COMPLETE"
    assert trial.attempt == 1
    assert epochs_of(trial, 1) == list(range(1, 21))
    assert n_before < 20
    assert "can not be reached" in worker.said()
    assert "answers again" in worker.said()


def test_an_unknown_outcome_is_settled_by_the_identical_request(server: FakeServer, start_worker: Start):
    """The server acts on each report, but every first answer is lost."""
    trial = server.add(1)[0]
    faults: Counter[bytes] = Counter()

    def report(worker_id: str, body: bytes) -> Answer:
        answer = type(server)._report(server, worker_id, body)
        faults[body] += 1
        return Answer(503, headers={"Retry-After": "0"}) if faults[body] == 1 else answer

    server._report = report  # type: ignore[method-assign]
    start_worker(stub={"epoch_s": "0.05", "epochs": "5"})
    wait_until(lambda: server.is_done() and all(n == 2 for n in faults.values()))
    assert trial.state == "COMPLETE"
    assert len(trial.endings) == 1
    assert epochs_of(trial, 1) == [1, 2, 3, 4, 5]


def test_a_frozen_worker_gets_one_stale_answer_and_goes_on(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    worker = start_worker(stub=SLOW)
    wait_until(in_training(trial))
    worker.process.send_signal(signal.SIGSTOP)
    with server.lock:  # its lease lapses; somebody else finishes the trial
        trial.attempt, trial.state = 2, "COMPLETE"
    after = server.add(1)[0]
    time.sleep(0.5)
    worker.process.send_signal(signal.SIGCONT)
    wait_until(in_training(after))
    assert worker.process.poll() is None
    assert trial.endings == []


def test_a_trial_taken_back_after_its_lease_replaces_the_old_attempt(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    start_worker(trainers=2, stub={"epoch_s": "0.1", "epochs": "8"})
    wait_until(in_training(trial))
    with server.lock:
        trial.state = "WAITING"  # the lease lapsed; the second trainer of this very worker claims it
    wait_until(server.is_done)
    assert trial.attempt == 2
    assert [attempt for attempt, _ in trial.endings] == [2]


def test_a_token_refused_at_first_contact_ends_the_worker_with_a_sentence(server: FakeServer, start_worker: Start):
    worker = start_worker(token="hps_wrong")
    assert worker.wait() == 1
    assert "ERROR auth.required this token is not valid" in worker.said()
    assert "Traceback" not in worker.said()


def test_a_token_refused_later_is_tried_again(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    worker = start_worker(stub={"epoch_s": "0.1", "epochs": "15"})
    wait_until(in_training(trial))

    def refuse(_verb: str, _path: str) -> None:
        raise problem(401, "auth.required", "this token is not valid")

    server.interrupt = refuse
    time.sleep(0.8)
    assert worker.process.poll() is None
    server.interrupt = lambda _verb, _path: None
    wait_until(server.is_done)
    assert trial.state == "COMPLETE"


def test_a_token_refused_for_too_long_ends_the_worker(server: FakeServer, start_worker: Start):
    worker = start_worker(unauthorized_give_up_s=0.3)
    wait_until(lambda: server.n("POST", "/claims"))

    def refuse(_verb: str, _path: str) -> None:
        raise problem(401, "auth.required", "this token was revoked")

    server.interrupt = refuse
    assert worker.wait() == 1
    assert "this token was revoked" in worker.said()


def test_a_worker_the_server_has_forgotten_registers_again(server: FakeServer, start_worker: Start):
    server.add(1)
    worker = start_worker()
    wait_until(server.is_done)
    with server.lock:
        server.workers = {"someone-else": server.workers["worker-0"]}
    server.add(1)
    wait_until(server.is_done)
    assert list(server.workers) == ["someone-else", "worker-1"]
    assert server.trials["trial-1"].worker_id == "worker-1"
    assert worker.process.poll() is None


def test_a_model_that_is_refused_does_not_cost_the_result(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]

    def refuse(verb: str, _path: str) -> None:
        if verb == "PUT":
            raise problem(413, "model.too_large", "at most 1 byte")

    server.interrupt = refuse
    worker = start_worker()
    wait_until(server.is_done)
    assert trial.state == "COMPLETE"
    assert trial.model is None
    assert "at most 1 byte" in worker.said()


def test_redirects_are_refused_at_first_contact(server: FakeServer, start_worker: Start):
    def redirect(_verb: str, _path: str) -> None:
        raise Answer(307, headers={"Location": "http://elsewhere.test/v1/workers"})

    server.interrupt = redirect
    worker = start_worker()
    assert worker.wait() == 1
    assert "server.redirect" in worker.said()
    assert "elsewhere.test" in worker.said()


def test_a_server_that_starts_later_is_waited_for(server: FakeServer, start_worker: Start):
    server.stop()
    server.add(1)
    worker = start_worker()
    wait_until(lambda: "can not be reached" in worker.said())
    server.start()
    wait_until(server.is_done)


def fake_keras(folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "keras.py").write_text(text)
    return str(folder)


def test_a_machine_without_tensorflow_is_told_what_to_install(
    server: FakeServer, start_worker: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    missing = "raise ModuleNotFoundError('no', name='tensorflow')"
    monkeypatch.setenv("PYTHONPATH", fake_keras(tmp_path / "fake", missing))
    server.add(1)
    worker = start_worker(engine="reference", trainers=1)
    assert worker.wait() == 1
    assert "no module tensorflow" in worker.said()
    assert "pip install 'hpsearch[worker]'" in worker.said()
    assert server.states() == ["WAITING"]  # no trial was claimed in vain


def test_trainers_that_die_at_the_start_end_the_worker_after_three(
    server: FakeServer, start_worker: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    dying = "import os; print('the driver is broken', flush=True); os._exit(9)"
    monkeypatch.setenv("PYTHONPATH", fake_keras(tmp_path / "fake", dying))
    server.add(1)
    worker = start_worker(engine="reference", trainers=1)
    assert worker.wait(60) == 1
    assert "3 times in a row" in worker.said()
    assert "exit code 9; its last lines were:" in worker.said()
    assert "the driver is broken" in worker.said()
    assert server.states() == ["WAITING"]


def test_a_supervisor_imports_nothing_heavy():
    heavy = "('tensorflow', 'keras', 'numpy', 'polars', 'sklearn', 'sqlalchemy', 'optuna', 'fastapi')"
    program = f"import sys, workers.main; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
