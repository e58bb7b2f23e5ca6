"""Model files: stored before the result, kept for the best, dropped for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.errors import ConflictError, ForbiddenError, NotFoundError, StaleAttemptError
from hpsearch.service import models, studies
from hpsearch.service.context import Context
from hpsearch.wire.claims import ClaimedTrial
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, open_studies


def _upload(worker: StubWorker, trial: ClaimedTrial, content: bytes, attempt: int = 1) -> None:
    path: Path = worker.ctx.blobs.new_temporary()
    path.write_bytes(content)
    models.put(worker.ctx, worker.caller, worker.worker_id, trial.trial_id, attempt, path)


def test_the_best_trials_model_is_the_studys(manual_context: Context, worker: StubWorker) -> None:
    study = studies.create(manual_context, ADMIN, definition(name="../my study"))
    trials = worker.claim(6).trials
    with pytest.raises(NotFoundError, match="no model yet"):
        models.of_study(manual_context, study.study_id)
    for trial, value in zip(trials[:3], (0.3, 0.9, 0.5), strict=True):
        _upload(worker, trial, f"model {value}".encode())
        worker.report(trial, complete(value))
    file = models.of_study(manual_context, study.study_id)
    assert file.path.read_bytes() == b"model 0.9"
    assert file.filename == "my-study.keras"
    assert models.drop_beaten(manual_context, open_studies(manual_context)[0]) == 2
    assert models.of_trial(manual_context, trials[1].trial_id).path.read_bytes() == b"model 0.9"
    with pytest.raises(NotFoundError, match="not kept"):
        models.of_trial(manual_context, trials[0].trial_id)


def test_a_worker_learns_what_a_model_must_beat(manual_context: Context, worker: StubWorker) -> None:
    study = studies.create(manual_context, ADMIN, definition())
    first = worker.claim()
    assert first.model_thresholds == {}
    worker.report(first.trials[0], complete(0.6))
    assert worker.claim().model_thresholds == {study.study_id: 0.6}


def test_only_the_running_attempts_worker_may_upload(manual_context: Context, worker: StubWorker) -> None:
    studies.create(manual_context, ADMIN, definition())
    trial = worker.one()
    with pytest.raises(StaleAttemptError):
        _upload(worker, trial, b"x", attempt=2)
    with pytest.raises(ForbiddenError):
        _upload(StubWorker(manual_context), trial, b"x")
    worker.report(trial, complete(0.5))
    with pytest.raises(StaleAttemptError):
        _upload(worker, trial, b"x")


def test_a_changed_file_is_noticed(manual_context: Context, worker: StubWorker) -> None:
    study = studies.create(manual_context, ADMIN, definition())
    trial = worker.one()
    _upload(worker, trial, b"model")
    worker.report(trial, complete(0.5))
    path = models.of_study(manual_context, study.study_id).path
    path.chmod(0o600)
    path.write_bytes(b"other")
    with pytest.raises(ConflictError, match="altered"):
        models.of_study(manual_context, study.study_id)
