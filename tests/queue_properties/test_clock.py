"""Clocks that jump: no attempt is given up by a jump, whichever way, and what is really overdue is given up later."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hpsearch.clock import ManualClock
from hpsearch.service.context import Context
from hpsearch.service.operations.maintenance import Maintenance
from hpsearch.service.results import trials
from hpsearch.service.studies import crud
from tests.service.fleet_stub import ADMIN, StubWorker, definition


def alive(clock: ManualClock, threads: Maintenance, seconds: float) -> None:
    """Let time pass while the server's threads do their rounds."""
    while seconds > 0:
        step_s = min(4.0, seconds)
        clock.advance(step_s)
        threads._beat()
        threads._reap()
        seconds -= step_s


@pytest.mark.parametrize("jump_s", [3_600.0, -3_600.0, 86_400.0, 10.0, 2.0])
def test_a_jump_gives_nothing_up(manual_context: Context, manual_clock: ManualClock, jump_s: float) -> None:
    crud.create(manual_context, ADMIN, definition())
    threads = Maintenance(manual_context)
    threads._beat()
    threads._reap()
    worker = StubWorker(manual_context)
    given = worker.one()
    alive(manual_clock, threads, 59)
    manual_clock.at += timedelta(seconds=jump_s)
    threads._reap()
    assert trials.trial(manual_context, given.trial_id).state == "RUNNING", "this round is skipped, or made up for"
    assert worker.report(given, epochs=(1,)).status == "accepted"
    alive(manual_clock, threads, 59)
    assert trials.trial(manual_context, given.trial_id).state == "RUNNING", "the lease is as long as ever"
    alive(manual_clock, threads, 8)
    view = trials.trial(manual_context, given.trial_id)
    assert (view.state, view.attempts[0].cause) == ("WAITING", "lost")
