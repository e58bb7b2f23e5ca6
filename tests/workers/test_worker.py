"""A real worker process with real trainer processes against a small HTTP server."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.trial import Outcome
from tests.workers.conftest import WorkerProcess, wait_until
from tests.workers.fake_server import FakeServer, epochs_of
from workers.training.testing.stub_engine import stub_model, stub_value

Start = Callable[..., WorkerProcess]
LEEWAY_S = 1.5  # machines that run tests are busy


def test_trials_are_trained_reported_and_their_models_delivered(server: FakeServer, start_worker: Start):
    server.add(6)
    worker = start_worker(trainers=2, max_idle_s=0.5)
    wait_until(server.is_done)
    for trial in server.trials.values():
        assert trial.state == "COMPLETE"
        assert trial.attempt == 1
        assert trial.outcome is not None
        assert trial.outcome.value == stub_value(trial.params)
        assert epochs_of(trial, 1) == [1, 2, 3]
        assert trial.model == stub_model(trial.params)
    assert worker.wait() == 0  # idle for long enough
    assert "leaving" in worker.said()
    registered = server.workers["worker-0"]
    assert registered.name == "test"
    assert registered.devices
    assert registered.version


def test_it_says_what_it_does_without_the_token_or_noise(server: FakeServer, start_worker: Start):
    server.add(1)
    worker = start_worker(max_idle_s=0.4)
    assert worker.wait() == 0
    said = worker.said()
    for part in ("training on", "registered at", "trainer ready", "claimed trial 0", "finished trial 0", "stopped"):
        assert part in said
    assert re.search(r"value=0\.\d+", said)
    assert "hps_test_secret" not in said
    assert "Traceback" not in said


def test_only_models_that_beat_the_threshold_are_sent(server: FakeServer, start_worker: Start):
    server.add(8)
    refit = server.add(1, kind=TrialKind.REFIT)[0]
    values = {t.trial_id: stub_value(t.params) for t in server.trials.values()}
    threshold = sorted(values.values())[4]
    server.thresholds["study-1"] = threshold
    start_worker(max_idle_s=1)
    wait_until(server.is_done)
    for trial in server.trials.values():
        assert (trial.model is not None) == (values[trial.trial_id] > threshold or trial is refit)


def test_a_threshold_learnt_in_mid_training_counts(server: FakeServer, start_worker: Start):
    trial = server.add(1)[0]
    start_worker(stub={"epoch_s": "0.4", "epochs": "4"})
    wait_until(lambda: epochs_of(trial, 1))
    server.thresholds["study-1"] = 1.0
    wait_until(server.is_done)
    assert trial.model is None
    assert server.n("PUT", "/model") == 0


def test_heartbeats_go_on_while_an_epoch_lasts(server: FakeServer, start_worker: Start):
    slow = server.add(1)[0]
    start_worker(stub={"epoch_s": "2.0", "epochs": "1"})
    wait_until(server.is_done)
    gaps = [later - earlier for earlier, later in itertools.pairwise([slow.claimed_s, *slow.heard_s])]
    assert len(gaps) >= 3
    assert max(gaps) < 1.5  # the heartbeat is 0.5 s, the epoch takes 2 s


def test_quick_epochs_of_several_trials_share_requests(server: FakeServer, start_worker: Start):
    server.add(2)
    start_worker(trainers=2, stub={"epoch_s": "0.02", "epochs": "60"})
    wait_until(lambda: epochs_of(server.trials["trial-0"], 1))
    assert time.monotonic() - server.trials["trial-0"].claimed_s < 0.5 + LEEWAY_S
    wait_until(server.is_done)
    bodies = [json.loads(body) for body in server.report_bodies]
    assert max(len(body["reports"]) for body in bodies) == 2
    # 120 epochs in about 1.2 s: some ten requests at one every 0.2 s, and one for each end.
    assert len(bodies) < 40
    for trial in server.trials.values():
        assert epochs_of(trial, 1) == list(range(1, 61))


def test_a_cancelled_trial_is_dropped_and_the_next_one_trained(server: FakeServer, start_worker: Start):
    victim, after = server.add(2)
    start_worker(stub={"epoch_s": "0.05", "epochs": "10"})
    wait_until(lambda: epochs_of(victim, 1))
    victim.is_stopped = True
    wait_until(server.is_done)
    assert victim.state == "CANCELLED"
    assert victim.outcome is None
    assert len(victim.measurements) < 10
    assert after.state == "COMPLETE"


def test_one_stale_answer_and_the_worker_goes_on(server: FakeServer, start_worker: Start):
    lost, after = server.add(2)
    worker = start_worker(stub={"epoch_s": "0.05", "epochs": "10"})
    wait_until(lambda: epochs_of(lost, 1))
    with server.lock:  # another worker took it and finished it
        lost.attempt, lost.state = 2, "COMPLETE"
        lost.outcome = Outcome(state="COMPLETE", value=0.5)
    wait_until(lambda: after.state == "COMPLETE")
    assert lost.endings == []
    assert worker.process.poll() is None
    assert "stale_attempt" in worker.said()


def test_results_the_server_finds_invalid_end_as_failures(server: FakeServer, start_worker: Start):
    bad = server.add(1, params={"refuse": True})[0]
    good = server.add(1)[0]
    start_worker()
    wait_until(server.is_done)
    assert bad.outcome is not None
    assert (bad.outcome.state, bad.outcome.cause) == ("FAILED", "training_error")
    assert "bad value" in (bad.outcome.detail or "")
    assert good.state == "COMPLETE"


def test_the_ways_a_trial_can_end_badly(server: FakeServer, start_worker: Start):
    error, diverged, full = server.add(3)
    worker = start_worker(stub={"faults": "error:units=0,diverge:units=1,fill:units=2"})
    wait_until(lambda: full.endings)
    server.paused = True
    endings = [trial.endings[0][1] for trial in (error, diverged, full)]
    assert [(outcome.state, outcome.cause) for outcome in endings] == [
        ("FAILED", "training_error"),
        ("INFEASIBLE", "diverged"),
        ("RELEASED", "disk_full"),
    ]
    assert "the stub was told to fail" in (endings[0].detail or "")
    assert full.state == "WAITING"
    assert worker.process.poll() is None


def test_data_with_another_digest_is_never_trained_on(server: FakeServer, start_worker: Start):
    server.content = b"altered on the way"
    trial = server.add(1)[0]
    worker = start_worker()
    wait_until(lambda: trial.endings)
    server.paused = True
    outcome = trial.endings[0][1]
    assert (outcome.state, outcome.cause) == ("RELEASED", "data_mismatch")
    assert trial.measurements == []
    assert list((worker.work_dir / "data").iterdir()) == []


def test_data_is_fetched_once(server: FakeServer, start_worker: Start):
    server.add(5)
    start_worker(trainers=2)
    wait_until(server.is_done)
    assert server.n("GET", "/content") == 1


def test_a_trainer_whose_memory_grew_is_replaced_between_trials(server: FakeServer, start_worker: Start):
    server.add(3)
    worker = start_worker(max_memory_bytes=1 << 20)
    wait_until(server.is_done)
    assert [t.attempt for t in server.trials.values()] == [1, 1, 1]
    assert worker.said().count("memory has grown") >= 2


def test_the_server_hears_how_many_slots_there_are_before_the_first_claim(server: FakeServer, start_worker: Start):
    server.add(3)
    start_worker(trainers=2, max_idle_s=0.5, stub={"pack": "3"})
    wait_until(server.is_done)
    claims = [json.loads(body) for body in server.claim_bodies]
    assert all("n_slots" in claim["progress"] for claim in claims)
    assert claims[0]["progress"]["n_slots"] in (3, 6), "one trainer may be ready before the other"
    assert json.loads(server.report_bodies[-1])["progress"]["n_slots"] in (3, 6)


def test_an_older_server_is_told_nothing_it_would_refuse(server: FakeServer, start_worker: Start):
    server.hears_slots = server.hears_stage = False
    server.add(2)
    start_worker(max_idle_s=0.5)
    wait_until(server.is_done)
    assert all("progress" not in json.loads(body) for body in server.claim_bodies)
    told = [json.loads(body)["progress"] for body in server.report_bodies]
    assert all("n_slots" not in progress and "stage" not in progress for progress in told)


def test_the_server_hears_at_once_what_keeps_trials_from_training(server: FakeServer, start_worker: Start):
    server.heartbeat_s = 30.0  # without news of its own the worker would say nothing for so long
    server.content_takes_s = 0.3
    server.add(1)
    start_worker(max_idle_s=0.5, stub={"compile_s": "0.3"})
    wait_until(server.is_done)
    told = [json.loads(body) for body in server.report_bodies]
    assert list(dict.fromkeys(one["progress"]["stage"] for one in told)) == ["fetching", "compiling", "training"]
    first = next(one for one in told if one["reports"][0].get("measurements"))
    assert first["progress"]["stage"] == "training"
