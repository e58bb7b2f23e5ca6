"""Many trials at once in one trainer process: each has its own epochs and its own end, whatever befalls the others."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

from tests.workers.conftest import WorkerProcess, wait_until
from tests.workers.fake_server import FakeServer, FakeTrial, epochs_of
from workers.training.testing.stub_engine import stub_model, stub_value

Start = Callable[..., WorkerProcess]
SLOW = {"pack": "8", "epoch_s": "0.1", "epochs": "200"}


def all_in_training(trials: list[FakeTrial]) -> Callable[[], bool]:
    return lambda: all(epochs_of(trial, trial.attempt) and trial.state == "RUNNING" for trial in trials)


def test_a_pack_is_trained_reported_and_refilled(server: FakeServer, start_worker: Start):
    trials = server.add(20)
    worker = start_worker(stub={"pack": "8", "epoch_s": "0.05", "epochs": "6"}, max_idle_s=0.5)
    wait_until(server.is_done)
    for trial in trials:
        assert (trial.state, trial.attempt) == ("COMPLETE", 1)
        assert epochs_of(trial, 1) == list(range(1, 7))
        assert trial.model == stub_model(trial.params)
        assert trial.outcome is not None
        assert trial.outcome.value == stub_value(trial.params)
    assert max(len(claim) for claim in server.claims.values()) == 8, "what the engine can hold, and no more"
    bodies = [json.loads(body) for body in server.report_bodies]
    assert max(len(body["reports"]) for body in bodies) >= 8
    # 120 epochs, 20 ends: one by one it would be 140 requests.
    assert len(bodies) < 40
    assert worker.wait() == 0
    assert "claimed 8 trials: 0 to 7 of stub study" in worker.said()


def test_later_trials_join_those_in_training(server: FakeServer, start_worker: Start):
    first = server.add(3)
    start_worker(stub=SLOW)
    wait_until(all_in_training(first))
    later = server.add(2)
    wait_until(all_in_training([*first, *later]))


def test_requests_never_overlap(server: FakeServer, start_worker: Start):
    """A slow server gets fewer and larger requests, not more of them at once."""
    open_now, most = [0], [0]
    report = server._report

    def slow(worker_id: str, body: bytes) -> object:
        open_now[0] += 1
        most[0] = max(most[0], open_now[0])
        time.sleep(0.3)
        open_now[0] -= 1
        return report(worker_id, body)

    server._report = slow  # type: ignore[assignment,method-assign]
    trials = server.add(8)
    start_worker(stub={"pack": "8", "epoch_s": "0.02", "epochs": "40"})
    wait_until(server.is_done)
    assert most == [1]
    assert len(server.report_bodies) < 15
    assert all(epochs_of(trial, 1) == list(range(1, 41)) for trial in trials)


def test_one_heartbeat_renews_all(server: FakeServer, start_worker: Start):
    trials = server.add(12)
    start_worker(stub={"pack": "12", "epoch_s": "2.5", "epochs": "1"})
    wait_until(server.is_done)
    beats = [json.loads(body)["reports"] for body in server.report_bodies]
    sizes = [len(beat) for beat in beats if not any(r["measurements"] or r["outcome"] for r in beat)]
    # That training begins is told at once, with a sign of life of a single trial.
    told = sizes.index(12)
    assert sum(sizes[:told]) <= 1
    assert sizes[told:] == [12] * (len(sizes) - told)
    assert len(sizes) - told >= 3
    assert all(len(trial.heard_s) >= 3 for trial in trials)


def test_a_cancelled_member_leaves_its_neighbours_alone(server: FakeServer, start_worker: Start):
    trials = server.add(8)
    start_worker(stub={"pack": "8", "epoch_s": "0.05", "epochs": "30"})
    wait_until(all_in_training(trials))
    trials[3].is_stopped = True
    after = server.add(1)[0]
    wait_until(server.is_done)
    assert trials[3].state == "CANCELLED"
    assert len(epochs_of(trials[3], 1)) < 30
    for trial in (*trials[:3], *trials[4:], after):
        assert (trial.state, trial.attempt) == ("COMPLETE", 1)
        assert epochs_of(trial, 1) == list(range(1, 31))


def test_the_bad_end_of_a_member_is_its_own(server: FakeServer, start_worker: Start):
    trials = server.add(8)
    worker = start_worker(stub={"pack": "8", "epoch_s": "0.05", "faults": "error:units=1,diverge:units=2"})
    wait_until(server.is_done)
    child = worker.trainers()[0]
    assert server.states() == ["COMPLETE", "FAILED", "INFEASIBLE", *["COMPLETE"] * 5]
    assert all(len(trial.endings) == 1 for trial in trials)
    again = server.add(1)[0]
    wait_until(lambda: again.state == "COMPLETE")
    assert worker.trainers()[0].pid == child.pid


def test_a_killed_process_costs_each_of_its_trials_one_attempt(server: FakeServer, start_worker: Start):
    trials = server.add(8)
    worker = start_worker(stub=SLOW)
    wait_until(all_in_training(trials))
    lived_s = time.monotonic() - trials[0].claimed_s
    child = worker.trainers()[0]
    child.kill()
    wait_until(lambda: all(trial.endings for trial in trials))
    outcomes = [trial.endings[0][1] for trial in trials]
    assert {(outcome.state, outcome.cause) for outcome in outcomes} == {("FAILED", "crashed")}
    # The process was theirs together: each pays its share of the time, not the whole.
    assert 0 < sum(outcome.device_seconds for outcome in outcomes) < lived_s + 2
    after = server.add(3)
    wait_until(all_in_training(after))
    assert worker.trainers()[0].pid != child.pid
    assert all(len(trial.endings) == 1 for trial in trials)


def test_an_engine_that_breaks_is_not_held_against_any_of_many(server: FakeServer, start_worker: Start):
    trials = server.add(4)
    worker = start_worker(stub={"pack": "4", "faults": "break:units=2"})
    wait_until(server.is_done)
    assert [t.outcome.cause for t in trials if t.outcome is not None] == ["crashed"] * 4
    alone = server.add(1, params={"units": 2})[0]
    wait_until(server.is_done)
    assert alone.outcome is not None
    assert alone.outcome.cause == "training_error", "alone, it is the trial's own"
    assert "the stub was told to fail" in (alone.outcome.detail or "")
    assert worker.process.poll() is None


def test_a_pack_without_any_progress_is_killed(server: FakeServer, start_worker: Start):
    training = server.study.training.model_copy(update={"stall_timeout_s": 1.0})
    server.study = server.study.model_copy(update={"training": training})
    server.add(4)
    worker = start_worker(stub={"pack": "4", "faults": "hang:units=3"})
    wait_until(server.is_done)
    assert [t.outcome.cause for t in server.trials.values() if t.outcome is not None] == ["stalled"] * 4
    assert "no progress of any of 4 trials for 1 s" in worker.said()


def test_sigterm_gives_all_trials_back(server: FakeServer, start_worker: Start):
    trials = server.add(8)
    worker = start_worker(stub=SLOW)
    wait_until(all_in_training(trials))
    server.paused = True
    worker.process.send_signal(signal.SIGTERM)
    assert worker.wait() == 0
    for trial in trials:
        outcome = trial.endings[-1][1]
        assert (outcome.state, outcome.cause, trial.state) == ("RELEASED", "shutdown", "WAITING")


def test_a_trial_that_brought_trainers_down_is_trained_alone(server: FakeServer, start_worker: Start):
    suspect, *others = server.add(5)
    suspect.alone = True
    start_worker(stub={"pack": "8", "epoch_s": "0.1", "epochs": "5"})
    wait_until(server.is_done)
    assert set(server.states()) == {"COMPLETE"}
    began, ended = suspect.epochs_at_s[0], suspect.epochs_at_s[-1]
    assert not any(began < at_s < ended for trial in others for at_s in trial.epochs_at_s)


def test_a_pack_whose_memory_grew_is_trained_to_its_end_first(server: FakeServer, start_worker: Start):
    trials = server.add(12)
    worker = start_worker(max_memory_bytes=1 << 20, stub={"pack": "4", "epoch_s": "0.05"})
    wait_until(server.is_done, 40)
    assert [trial.attempt for trial in trials] == [1] * 12
    assert "memory has grown" in worker.said()


def test_the_fleet_is_told_what_goes_on(server: FakeServer, start_worker: Start):
    trials = server.add(8)
    start_worker(stub=SLOW)
    wait_until(all_in_training(trials))
    time.sleep(0.5)
    progress = json.loads(server.report_bodies[-1])["progress"]
    assert progress["engine"] == "stub"
    assert (progress["n_training"], progress["n_waiting"]) == (8, 0)
    assert progress["epochs_per_second"] > 1
