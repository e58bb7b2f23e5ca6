"""A worker that vanishes or crashes again and again harms no study; a trial that kills its workers comes to an end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hpsearch.clock import ManualClock
from hpsearch.domain.trial import Outcome
from hpsearch.errors import LimitError, NotFoundError
from hpsearch.service.context import Caller, Context
from hpsearch.service.fleet import workers as fleet
from hpsearch.service.queue.reaper import reap
from hpsearch.service.results import trials as results
from hpsearch.service.studies import crud
from hpsearch.wire.claims import ClaimedTrial
from tests.invariants import invariants
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition

HONEST = Caller(token_id="honest-token", scopes=frozenset({"worker"}))
SILENT = Caller(token_id="silent-token", scopes=frozenset({"worker"}))
CRASH = Outcome(state="FAILED", cause="crashed", detail="ended by SIGKILL")


def study(ctx: Context, n: int = 6, **budget: object) -> str:
    return crud.create(ctx, ADMIN, definition(budget={"max_trials": n, **budget})).study_id


def vanish(ctx: Context, clock: ManualClock, name: str = "silent", n: int = 100) -> tuple[ClaimedTrial, ...]:
    """Register, claim, say nothing, and let the leases lapse; return what was lost."""
    taken = StubWorker(ctx, SILENT, name).claim(n).trials
    clock.advance(61)
    assert reap(ctx) == len(taken)
    return taken


@pytest.mark.parametrize("names", ["one name", "many names"])
def test_a_silent_token_fails_no_trial_while_others_work(
    manual_context: Context, manual_clock: ManualClock, names: str
) -> None:
    study_id = study(manual_context, 30, max_failed=1)
    honest = StubWorker(manual_context, HONEST, "honest")
    assert honest.finish(honest.one()).status == "accepted"
    n_lost = 0
    for turn in range(14):
        n_lost += len(vanish(manual_context, manual_clock, "silent" if names == "one name" else f"silent {turn}", n=2))
        for trial in honest.claim().trials:
            assert honest.finish(trial).status == "accepted"
        manual_clock.advance(300)
    view = crud.get(manual_context, study_id)
    assert view.counts["FAILED"] == 0
    assert n_lost > 5
    trials = results.trials(manual_context, study_id, limit=99).items
    assert any(trial.attempt > 5 for trial in trials), "lost more often than a trial that is to blame"
    manual_clock.advance(600)
    done = honest.work(view)
    assert (done.state, done.counts["COMPLETE"]) == ("COMPLETED", 30)
    assert invariants.check(manual_context.store) == []


def test_a_quarantine_outlasts_a_new_registration_and_says_why(
    manual_context: Context, manual_clock: ManualClock
) -> None:
    study(manual_context, 40)
    honest = StubWorker(manual_context, HONEST, "honest")
    for _ in range(5):
        assert len(vanish(manual_context, manual_clock, n=1)) == 1
        honest.finish(honest.one())
    # The fifth loss was found while another worker succeeds: whoever has this name now gets nothing.
    again = StubWorker(manual_context, SILENT, "silent")
    assert again.claim().trials == ()
    view = fleet.get(manual_context, again.worker_id)
    assert view.state == "QUARANTINED"
    assert view.quarantine_reason == "5 failures in a row while other workers succeed, the last: lost"
    other = StubWorker(manual_context, SILENT, "another")
    assert other.finish(other.one()).status == "accepted", "another host of the same token works on"

    manual_clock.advance(61)
    honest.finish(honest.one())
    assert len(vanish(manual_context, manual_clock, n=1)) == 1, "after a minute it is tried again"
    honest.finish(honest.one())
    late = StubWorker(manual_context, SILENT, "silent")
    manual_clock.advance(61)
    assert late.claim().trials == (), "and then left alone for longer"
    fleet.enable(manual_context, late.worker_id)
    assert StubWorker(manual_context, SILENT, "silent").claim().trials, "an administrator may pardon it"


def test_where_only_a_worker_that_loses_all_is_left_the_study_ends_late_and_not_by_max_failed(
    manual_context: Context, manual_clock: ManualClock
) -> None:
    """The bound: ten losses of each trial. Five used to fail it, and twenty of those the study."""
    study_id = study(manual_context, 3, max_failed=1)
    for turn in range(1, 11):
        assert len(vanish(manual_context, manual_clock, f"host {turn}")) == 3
        manual_clock.advance(600)
        if turn == 9:
            view = crud.get(manual_context, study_id)
            assert (view.state, view.counts["FAILED"]) == ("RUNNING", 0)
    view = crud.get(manual_context, study_id)
    assert (view.state, view.end_reason, view.counts["FAILED"]) == ("FAILED", "no_result", 3)
    assert invariants.check(manual_context.store) == []


@pytest.mark.parametrize("how", ["the trainer dies", "the machine dies"])
def test_on_a_single_machine_a_trial_that_always_kills_it_ends_and_the_study_with_it(
    manual_context: Context, manual_clock: ManualClock, how: str
) -> None:
    study_id = study(manual_context, 6, max_failed=1)
    worker = StubWorker(manual_context, HONEST, "the box")
    poison: str | None = None
    for _ in range(40):
        manual_clock.advance(100)
        for trial in worker.claim().trials:
            poison = poison or trial.trial_id
            if trial.trial_id != poison:
                worker.finish(trial)
            elif how == "the trainer dies":
                worker.report(trial, CRASH)
            else:
                manual_clock.advance(61)
                assert reap(manual_context) == 1
                worker = StubWorker(manual_context, HONEST, "the box")
    view = crud.get(manual_context, study_id)
    assert (view.state, view.counts["COMPLETE"], view.counts["FAILED"]) == ("COMPLETED", 5, 1)
    lost = results.trial(manual_context, str(poison))
    assert (lost.state, lost.cause, len(lost.attempts)) == ("FAILED", "lost_repeatedly", 5)
    assert invariants.check(manual_context.store) == []


def test_two_workers_that_can_train_are_enough_to_blame_a_trial(
    manual_context: Context, manual_clock: ManualClock
) -> None:
    study(manual_context, 40)
    workers = [StubWorker(manual_context, HONEST, name) for name in ("a", "b")]
    for worker in workers:
        worker.finish(worker.one())
    poison = workers[0].one()
    for attempt in range(1, 6):
        worker = workers[attempt % 2]
        if attempt > 1:
            (poison,) = [trial for trial in worker.claim(40).trials if trial.trial_id == poison.trial_id]
        holder = worker if attempt > 1 else workers[0]
        holder.report(poison, CRASH)
        manual_clock.advance(50)
        fleet.enable(manual_context, holder.worker_id)
    view = results.trial(manual_context, poison.trial_id)
    assert (view.state, view.cause, view.attempt) == ("FAILED", "lost_repeatedly", 5)


def test_there_is_an_end_to_how_many_workers_of_a_token_are_present(
    manual_context: Context, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "MAX_PRESENT", 3)
    for _ in range(3):
        StubWorker(manual_context, SILENT)
    with pytest.raises(LimitError, match=r"3 workers of this token .* stop some"):
        StubWorker(manual_context, SILENT)
    StubWorker(manual_context, HONEST)
    manual_clock.advance(61)
    StubWorker(manual_context, SILENT)


def test_workers_long_gone_are_forgotten_unless_a_trial_refers_to_them(
    manual_context: Context, manual_clock: ManualClock
) -> None:
    study(manual_context)
    idle, useful = StubWorker(manual_context), StubWorker(manual_context)
    trial = useful.one()
    useful.finish(trial)
    manual_clock.advance(86_000)
    present = StubWorker(manual_context)
    with manual_context.store.write() as tx:
        assert tx.workers.forget(tx.at - timedelta(days=1)) == 0
    manual_clock.advance(500)
    with manual_context.store.write() as tx:
        assert tx.workers.forget(tx.at - timedelta(days=1)) == 1
    with pytest.raises(NotFoundError, match="register again"):
        idle.claim()
    assert [one.worker_id for one in results.trial(manual_context, trial.trial_id).attempts] == [useful.worker_id]
    assert present.report(present.one(), complete(0.5)).status == "accepted"
