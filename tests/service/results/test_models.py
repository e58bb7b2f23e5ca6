"""Model files: stored before the result, kept for the best, dropped for the rest."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from hpsearch.clock import ManualClock
from hpsearch.errors import ConflictError, ForbiddenError, NotFoundError, StaleAttemptError
from hpsearch.service.content.contents import Content
from hpsearch.service.context import Context
from hpsearch.service.operations.sweeping import Sweeper
from hpsearch.service.queue.reaper import reap
from hpsearch.service.results import models
from hpsearch.service.studies import crud
from hpsearch.wire.claims import ClaimedTrial
from tests.content.damage import damage
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, open_studies


def _upload(worker: StubWorker, trial: ClaimedTrial, content: bytes, attempt: int = 1) -> None:
    path: Path = worker.ctx.content.new_temporary()
    path.write_bytes(content)
    models.put(worker.ctx, worker.caller, worker.worker_id, trial.trial_id, attempt, path)


def test_the_best_trials_model_is_the_studys(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition(name="../my study"))
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
    kept = f"trial {trials[0].number} of study '../my study' is not kept; kept are those of trial {trials[1].number}"
    with pytest.raises(NotFoundError, match=kept):
        models.of_trial(manual_context, trials[0].trial_id)


def test_a_worker_learns_what_a_model_must_beat(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    first = worker.claim()
    assert first.model_thresholds == {}
    worker.report(first.trials[0], complete(0.6))
    assert worker.claim().model_thresholds == {study.study_id: 0.6}


def test_only_the_running_attempts_worker_may_upload(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition())
    trial = worker.one()
    with pytest.raises(StaleAttemptError):
        _upload(worker, trial, b"x", attempt=2)
    with pytest.raises(ForbiddenError):
        _upload(StubWorker(manual_context), trial, b"x")
    worker.report(trial, complete(0.5))
    with pytest.raises(StaleAttemptError):
        _upload(worker, trial, b"x")


def test_a_changed_file_is_noticed(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    trial = worker.one()
    _upload(worker, trial, b"model")
    worker.report(trial, complete(0.5))
    assert models.of_study(manual_context, study.study_id).path.read_bytes() == b"model"
    damage(manual_context.content, b"model")
    with pytest.raises(ConflictError, match="altered"):
        models.of_study(manual_context, study.study_id)


def _stored(ctx: Context) -> set[str]:
    return {name[:64] for name in ctx.content.store.names()}


def _digests(*contents: bytes) -> set[str]:
    return {hashlib.sha256(content).hexdigest() for content in contents}


def test_a_model_that_is_replaced_is_deleted(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition())
    before = _stored(manual_context)
    trial = worker.one()
    for number in (*range(5), 4):
        _upload(worker, trial, b"model %d" % number)
    assert _stored(manual_context) - before == _digests(b"model 4")
    worker.report(trial, complete(0.5))
    assert models.of_trial(manual_context, trial.trial_id).path.read_bytes() == b"model 4"


def test_a_model_two_attempts_share_stays_until_both_are_gone(manual_context: Context, worker: StubWorker) -> None:
    crud.create(manual_context, ADMIN, definition())
    one, two = worker.claim(2).trials
    for trial in (one, two):
        _upload(worker, trial, b"the same")
    _upload(worker, one, b"another")
    assert _digests(b"the same", b"another") <= _stored(manual_context)
    _upload(worker, two, b"another")
    assert not _digests(b"the same") & _stored(manual_context)


def test_nothing_stays_of_a_model_that_is_not_accepted(
    manual_context: Context, worker: StubWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    crud.create(manual_context, ADMIN, definition())
    trial = worker.one()
    put_file = manual_context.content.put_file

    def lose_meanwhile(self: object, path: Path) -> object:
        content = put_file(path)
        worker.report(trial, complete(0.5))
        return content

    monkeypatch.setattr(Content, "put_file", lose_meanwhile)
    with pytest.raises(StaleAttemptError):
        _upload(worker, trial, b"too late")
    assert not _digests(b"too late") & _stored(manual_context)


def test_models_of_attempts_given_up_and_of_deleted_studies_are_deleted(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock
) -> None:
    study = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 1}))
    before = _stored(manual_context)
    trial = worker.one()
    _upload(worker, trial, b"of the first attempt")
    manual_clock.advance(manual_context.settings.lease_s + 1)
    assert reap(manual_context) == 1
    second = StubWorker(manual_context)
    manual_clock.advance(600)
    again = second.one()
    _upload(second, again, b"of the second attempt", attempt=again.attempt)
    assert models.drop_beaten(manual_context, open_studies(manual_context)[0]) == 1
    assert _stored(manual_context) - before == _digests(b"of the second attempt")
    second.report(again, complete(0.5))
    crud.delete(manual_context, study.study_id)
    assert _stored(manual_context) == before


def test_a_study_that_ended_between_two_sweeps_is_swept(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 3}))
    before = _stored(manual_context)
    for trial, value in zip(worker.claim(3).trials, (0.3, 0.9, 0.5), strict=True):
        _upload(worker, trial, b"model %.1f" % value)
        worker.report(trial, complete(value))
    assert crud.get(manual_context, study.study_id).state == "COMPLETED"
    Sweeper(manual_context, threading.Event()).sweep()
    assert _stored(manual_context) - before == _digests(b"model 0.9")
