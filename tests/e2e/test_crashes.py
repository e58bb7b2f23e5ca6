"""Server and workers killed with SIGKILL in the middle of a study, started again: the budget stays exact."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from hpsearch.domain.study import StudyDefinition
from hpsearch.wire.tokens import TokenRequest
from tests.e2e.stack import stack, wait_for_end

QUICK = {"HPSEARCH_LEASE_S": "2", "HPSEARCH_HEARTBEAT_S": "0.4", "HPSEARCH_REAPER_S": "0.3"}
STUB = {"HPSEARCH_STUB_ENGINE": "1", "HPSEARCH_WORKER_ENGINE": "stub"}


def _plan(**changes: Any) -> StudyDefinition:
    plain: dict[str, Any] = {
        "name": "crash",
        "dataset": {"builtin": "iris"},
        "space": {
            "layers": 1,
            "units": {"type": "int", "low": 4, "high": 32},
            "learning_rate": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True},
        },
        "algorithm": {"kind": "random", "seed": 0},
        "budget": {"max_trials": 40},
        "training": {"max_epochs": 5},
        "baselines": False,
        "refit": "off",
    }
    return StudyDefinition.model_validate({**plain, **changes})


def test_kills_cost_attempts_but_never_trials(tmp_path: Path, database_url: str) -> None:
    with stack(tmp_path / "data", database_url, **QUICK, **STUB) as one:
        url = one.serve()
        port = int(url.rsplit(":", 1)[1])
        with one.client(url) as client:
            worker_token = client.tokens.create(TokenRequest(name="gpu box", scopes=("worker",))).token
            study = client.studies.create(_plan())
            one.work(url, token=worker_token)
            one.work(url, token=worker_token)
            for round_ in range(3):
                _wait_for_trials(client, study.study_id, 4 * (round_ + 1))
                one.kill_server()
                one.workers[-1].send_signal(signal.SIGKILL)
                one.serve(port)
                one.work(url, token=worker_token)
            ended = wait_for_end(client, study.study_id, timeout_s=60)
            assert (ended.state, ended.end_reason, ended.n_trials) == ("COMPLETED", "max_trials", 40)
            assert ended.counts["COMPLETE"] == 40
            trials = list(client.studies.all_trials(study.study_id))
            assert len(trials) == 40
            assert {trial.state for trial in trials} == {"COMPLETE"}
            for trial in trials:
                numbers = [attempt.attempt for attempt in client.trials.get(trial.trial_id).attempts]
                assert numbers == list(range(1, trial.attempt + 1))
        assert one.workers[0].poll() is None, "the worker that was not killed carries on"


def _wait_for_trials(client: Any, study_id: str, n: int) -> None:
    deadline = time.monotonic() + 60
    while client.studies.get(study_id).n_trials < n:
        assert time.monotonic() < deadline, "the study stands still"
        time.sleep(0.05)


@pytest.mark.slow
def test_real_training_survives_too(tmp_path: Path) -> None:
    with stack(tmp_path / "data", **QUICK) as one:
        url = one.serve()
        port = int(url.rsplit(":", 1)[1])
        with one.client(url) as client:
            study = client.studies.create(_plan(budget={"max_trials": 8}, training={"max_epochs": 30}))
            one.work(url)
            _wait_for_trials(client, study.study_id, 2)
            one.workers[0].send_signal(signal.SIGKILL)
            one.kill_server()
            one.serve(port)
            one.work(url)
            ended = wait_for_end(client, study.study_id, timeout_s=120)
            assert (ended.state, ended.n_trials, ended.counts["COMPLETE"]) == ("COMPLETED", 8, 8)
            model = tmp_path / "best.keras"
            client.studies.download_model(study.study_id, model)
            assert model.stat().st_size > 1000
