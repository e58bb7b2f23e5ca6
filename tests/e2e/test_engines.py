"""Each engine for real: a server, a worker, real training, models anybody can load, faults in mid-training."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from hpsearch.client import Client
from hpsearch.data.split import split_rows
from hpsearch.data.table import read_table
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Trial
from hpsearch.errors import NotFoundError
from hpsearch.wire.pages import StudyView
from tests.e2e.scorer import Scorer, scorer
from tests.e2e.stack import Stack, stack, wait_for_end

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    with scorer(tmp_path_factory.mktemp("scorer")) as one:
        yield one


@pytest.fixture(scope="module", params=["native", "fused"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def running(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Client]]:
    with stack(tmp_path_factory.mktemp(engine) / "data") as one:
        url = one.serve()
        # Without a GPU native is the default.
        one.work(url, *(() if engine == "native" else ("--engine", engine)))
        with one.client(url) as client:
            yield one, client


def create(client: Client, **changes: Any) -> StudyView:
    plain: dict[str, Any] = {
        "name": "engines",
        "dataset": {"builtin": "digits"},
        "space": {
            "layers": 1,
            "units": {"type": "int", "low": 8, "high": 32},
            "learning_rate": {"type": "float", "low": 0.003, "high": 0.03, "log": True},
        },
        "algorithm": {"kind": "random", "seed": 0},
        "baselines": False,
        "refit": "off",
    }
    return client.studies.create(StudyDefinition.model_validate({**plain, **changes}))


def trials_of(client: Client, study: StudyView) -> list[Trial]:
    return list(client.studies.all_trials(study.study_id))


def epochs_of(client: Client, trial: Trial) -> list[int]:
    return [one.epoch for one in client.trials.all_measurements(trial.trial_id)]


def wait_for(condition: Callable[[], object], timeout_s: float = 90.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.05)


def said(one: Stack) -> str:
    return (one.folder / "worker-0.log").read_text()


def test_a_study_is_trained_and_its_models_score_what_was_reported(
    running: tuple[Stack, Client], clean: Scorer, engine: str, tmp_path: Path
) -> None:
    one, client = running
    training = {"max_epochs": 10, "early_stopping": {"patience": 4}}
    study = create(client, budget={"max_trials": 24}, training=training, confirm={"top_k": 3, "seeds": 1})
    ended = wait_for_end(client, study.study_id, timeout_s=180)
    assert (ended.state, ended.n_trials) == ("COMPLETED", 24)
    trials = trials_of(client, study)
    assert {(trial.state, trial.attempt) for trial in trials} == {("COMPLETE", 1)}
    for trial in trials:
        assert epochs_of(client, trial) == list(range(1, (trial.epochs or 0) + 1))
        assert trial.device_seconds > 0
    assert f"engine='{engine}" in said(one)
    if engine == "fused":
        assert re.search(r"programs for study engines: \d", said(one)), "the programs are in the log"
    else:
        assert "compil" not in said(one), "nothing is compiled for a study"
    models = {trial.trial_id: path for trial in trials if (path := _model(client, trial, tmp_path)) is not None}
    assert len(models) >= 3
    values = {trial.trial_id: trial.value for trial in trials}
    for trial_id, score in zip(models, _scores(client, ended, clean, list(models.values()), tmp_path), strict=True):
        assert score == pytest.approx(values[trial_id], abs=1e-5)


def _model(client: Client, trial: Trial, folder: Path) -> Path | None:
    path = folder / f"{trial.trial_id}.keras"
    try:
        client.trials.download_model(trial.trial_id, path)
    except NotFoundError:
        return None
    return path


def _scores(client: Client, study: StudyView, clean: Scorer, models: list[Path], folder: Path) -> list[float]:
    """Return each model's accuracy on the validation rows, computed in a process that knows nothing of hpsearch."""
    content = folder / "content.parquet"
    client.datasets.download(study.resolved.dataset_id, content)
    profile = client.datasets.profile(study.resolved.dataset_id)
    table = read_table(content, profile, study.resolved.dataset_digest)
    rows = split_rows(table, study.resolved.task, study.definition.split).folds[0].validation
    matrix = np.column_stack([table.columns[column.name][rows] for column in profile.columns])
    raw = {"matrix": matrix.tolist()}
    predicted = [clean.predictions(model, raw, folder).argmax(axis=1) for model in models]
    return [float(np.mean(one == table.target[rows])) for one in predicted]


def test_a_cancelled_and_a_diverging_trial_leave_their_neighbours_alone(
    running: tuple[Stack, Client], engine: str
) -> None:
    _, client = running
    n_epochs = 600 if engine == "fused" else 6_000
    space = {
        "layers": 1,
        "units": {"values": [16, 24]},
        "optimizer": "sgd",
        "learning_rate": {"values": [0.01, 0.03, 0.1, 1000.0]},
    }
    # Squared errors, plain gradient descent: nothing but divergence can come of a learning rate of 1,000.
    study = create(
        client,
        dataset={"builtin": "diabetes"},
        space=space,
        algorithm={"kind": "grid"},
        training={"max_epochs": n_epochs, "early_stopping": None},
    )
    wait_for(lambda: any(epochs_of(client, trial) for trial in _slow(client, study)))
    victim = next(trial for trial in _slow(client, study) if epochs_of(client, trial))
    client.trials.stop(victim.trial_id)
    ended = wait_for_end(client, study.study_id, timeout_s=120)
    assert ended.state == "COMPLETED"
    for trial in trials_of(client, study):
        assert trial.attempt == 1
        if trial.trial_id == victim.trial_id:
            assert trial.state == "CANCELLED"
            assert len(epochs_of(client, trial)) < n_epochs
        elif trial.params["learning_rate"] == 1000.0:
            assert (trial.state, trial.cause) == ("INFEASIBLE", "diverged")
        else:
            assert (trial.state, trial.epochs) == ("COMPLETE", n_epochs)


def _slow(client: Client, study: StudyView) -> list[Trial]:
    return [trial for trial in trials_of(client, study) if trial.params["learning_rate"] == 0.01]


def test_a_killed_trainer_costs_attempts_and_no_trial(running: tuple[Stack, Client], engine: str) -> None:
    one, client = running
    n_epochs, n_together = (150, 6) if engine == "fused" else (1_500, 1)
    study = create(client, budget={"max_trials": 12}, training={"max_epochs": n_epochs, "early_stopping": None})
    wait_for(lambda: sum(bool(epochs_of(client, trial)) for trial in trials_of(client, study)) >= n_together)
    child = psutil.Process(one.workers[0].pid).children()[0]
    child.kill()
    ended = wait_for_end(client, study.study_id, timeout_s=180)
    assert (ended.state, ended.n_trials, ended.counts["COMPLETE"]) == ("COMPLETED", 12, 12)
    trials = trials_of(client, study)
    assert len(trials) == 12
    lost = 0
    for trial in trials:
        attempts = client.trials.get(trial.trial_id).attempts
        assert [attempt.attempt for attempt in attempts] == list(range(1, trial.attempt + 1))
        assert [attempt.cause for attempt in attempts[:-1]] == ["crashed"] * (trial.attempt - 1)
        assert epochs_of(client, trial) == list(range(1, n_epochs + 1))
        lost += trial.attempt - 1
    assert lost >= n_together, "each trial in the process lost one attempt"
    assert {trial.attempt for trial in trials} <= {1, 2}
    assert one.workers[0].poll() is None
