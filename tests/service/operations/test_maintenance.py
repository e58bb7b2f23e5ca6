"""Outages and the background threads: nobody loses a lease because the server was away."""

from __future__ import annotations

import time

import pytest

from hpsearch.clock import ManualClock
from hpsearch.service.context import Context
from hpsearch.service.operations import maintenance
from hpsearch.service.operations.maintenance import Maintenance
from hpsearch.service.queue import reaper
from hpsearch.service.queue.reaper import reap
from hpsearch.service.results import trials
from hpsearch.service.studies import crud, steering
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition


def test_an_outage_is_added_to_the_running_leases(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock
) -> None:
    crud.create(manual_context, ADMIN, definition())
    before = Maintenance(manual_context)
    before.start()
    trial = worker.one()
    before.stop()
    manual_clock.advance(3 * manual_context.settings.lease_s)
    after = Maintenance(manual_context)
    after.start()
    after.stop()
    assert reap(manual_context) == 0
    assert worker.report(trial, complete(0.5)).status == "accepted"
    assert trials.trial(manual_context, trial.trial_id).attempt == 1


def test_without_an_outage_a_silent_worker_loses_its_trial(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock
) -> None:
    crud.create(manual_context, ADMIN, definition())
    worker.one()
    manual_clock.advance(manual_context.settings.lease_s + 1)
    assert reap(manual_context) == 1


def test_the_threads_fill_and_end_studies_by_themselves(context: Context) -> None:
    worker = StubWorker(context)
    threads = Maintenance(context)
    threads.start()
    try:
        plan = definition(parallelism=2, budget={"max_trials": 9}, algorithm={"kind": "bayesian"})
        study = crud.create(context, ADMIN, plan)
        deadline = time.monotonic() + 30
        while crud.get(context, study.study_id).state == "RUNNING" and time.monotonic() < deadline:
            for trial in worker.claim(2).trials:
                worker.finish(trial)
            time.sleep(0.01)
        assert crud.get(context, study.study_id).n_trials == 9
        timed = crud.create(context, ADMIN, definition(budget={"max_trials": 50, "wall_time_s": 0.5}))
        while crud.get(context, timed.study_id).state == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert crud.get(context, timed.study_id).end_reason == "no_result", "its time was up"
    finally:
        threads.stop()


def test_very_many_open_studies_have_their_turn(
    manual_context: Context, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits are looked at for some studies in a round, and for all of them in some rounds."""
    monkeypatch.setattr(maintenance, "_WATCHED", 3)
    timed = definition(budget={"max_trials": 4, "wall_time_s": 10.0})
    ids = [crud.create(manual_context, ADMIN, timed).study_id for _ in range(7)]
    threads = Maintenance(manual_context)
    threads._watch_limits()
    assert {crud.get(manual_context, one).state for one in ids} == {"RUNNING"}
    manual_clock.advance(11)
    for n_ended in (1, 4, 7):  # the second turn of the round before is what is left of it
        threads._watch_limits()
        assert sum(crud.get(manual_context, one).state == "FAILED" for one in ids) >= n_ended
    assert {crud.get(manual_context, one).state for one in ids} == {"FAILED"}, "without a result"


def test_the_filler_looks_only_where_trials_may_be_wanted(manual_context: Context, worker: StubWorker) -> None:
    full = crud.create(manual_context, ADMIN, definition(name="full")).study_id
    plan = definition(name="more", parallelism=2)
    paused, open_ = (crud.create(manual_context, ADMIN, plan).study_id for _ in range(2))
    steering.pause(manual_context, paused)

    def looked_at() -> set[str]:
        with manual_context.store.read() as tx:
            return {study.uid for study in tx.studies.by_ids(tx.studies.fillable_ids()).values()}

    assert looked_at() == {open_}
    steering.resume(manual_context, paused)
    assert looked_at() == {paused, open_}
    steering.stop_trial(manual_context, worker.one().trial_id)
    assert looked_at() == {full, paused, open_}, "a trial that somebody stopped is replaced"


def test_a_worker_that_held_thousands_lets_them_all_go_at_once(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "BATCH", 2)
    monkeypatch.setattr(reaper, "BATCH", 2)
    study_id = crud.create(manual_context, ADMIN, definition()).study_id
    threads = Maintenance(manual_context)
    threads._beat()
    assert len(worker.claim(5).trials) == 5
    for _ in range(8):  # alive meanwhile
        manual_clock.advance(8)
        threads._beat()
    threads._reap()
    assert crud.get(manual_context, study_id).counts["RUNNING"] == 0
