"""Outages and the background threads: nobody loses a lease because the server was away."""

from __future__ import annotations

import time

from hpsearch.clock import ManualClock
from hpsearch.service import results, studies
from hpsearch.service.context import Context
from hpsearch.service.maintenance import Maintenance
from hpsearch.service.reaper import reap
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition


def test_an_outage_is_added_to_the_running_leases(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock
) -> None:
    studies.create(manual_context, ADMIN, definition())
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
    assert results.trial(manual_context, trial.trial_id).attempt == 1


def test_without_an_outage_a_silent_worker_loses_its_trial(
    manual_context: Context, worker: StubWorker, manual_clock: ManualClock
) -> None:
    studies.create(manual_context, ADMIN, definition())
    worker.one()
    manual_clock.advance(manual_context.settings.lease_s + 1)
    assert reap(manual_context) == 1


def test_the_threads_fill_and_end_studies_by_themselves(context: Context) -> None:
    worker = StubWorker(context)
    threads = Maintenance(context)
    threads.start()
    try:
        plan = definition(parallelism=2, budget={"max_trials": 9}, algorithm={"kind": "bayesian"})
        study = studies.create(context, ADMIN, plan)
        deadline = time.monotonic() + 30
        while studies.get(context, study.study_id).state == "RUNNING" and time.monotonic() < deadline:
            for trial in worker.claim(2).trials:
                worker.finish(trial)
            time.sleep(0.01)
        assert studies.get(context, study.study_id).n_trials == 9
        timed = studies.create(context, ADMIN, definition(budget={"max_trials": 50, "wall_time_s": 0.5}))
        while studies.get(context, timed.study_id).state == "RUNNING" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert studies.get(context, timed.study_id).end_reason == "wall_time"
    finally:
        threads.stop()
