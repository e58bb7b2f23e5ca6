"""Bad reports, sick workers and full disks, as the tables of docs/lifecycle.md promise, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as on

from hpsearch.clock import ManualClock
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.errors import InvalidInputError, UnavailableError
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers as fleet
from hpsearch.service.operations import health
from hpsearch.service.queue import claims
from hpsearch.service.queue.reaper import reap, requeue_quarantined
from hpsearch.service.results import events
from hpsearch.service.results import trials as results
from hpsearch.service.studies import crud
from hpsearch.settings import Settings
from hpsearch.wire.claims import ClaimedTrial
from tests.invariants import invariants
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition, grid

ERROR = Outcome(state="FAILED", cause="training_error", detail="ValueError")
CRASH = Outcome(state="FAILED", cause="crashed")
DIVERGED = Outcome(state="INFEASIBLE", cause="diverged")


@pytest.fixture
def manual_context(manual_context: Context) -> Iterator[Context]:
    """The context of all tests; whatever a test did with it, the invariants hold afterwards."""
    yield manual_context
    broken = invariants.check(manual_context.store)
    assert broken == [], "\n".join(map(str, broken))


def study(ctx: Context, **changes: Any) -> str:
    return crud.create(ctx, ADMIN, definition(**changes)).study_id


def lapse(ctx: Context, clock: ManualClock) -> int:
    """Let every lease lapse while the server is alive; return how many attempts are given up."""
    clock.advance(61)
    return reap(ctx)


def kinds(ctx: Context, study_id: str) -> set[str]:
    return {event.kind for event in events.since(ctx, study_id, after=None)}


@pytest.fixture
def taken_over(
    manual_context: Context, manual_clock: ManualClock
) -> tuple[StubWorker, ClaimedTrial, StubWorker, ClaimedTrial]:
    """A worker whose lease has lapsed, and another that holds its trial now."""
    study(manual_context, budget={"max_trials": 1})
    zombie, heir = StubWorker(manual_context), StubWorker(manual_context)
    before = zombie.one()
    zombie.report(before, epochs=(1, 2))
    assert lapse(manual_context, manual_clock) == 1
    return zombie, before, heir, heir.one()


@pytest.mark.parametrize("outcome", [None, complete(0.1), ERROR, CRASH, DIVERGED, Outcome(state="RELEASED")])
def test_whatever_a_zombie_reports_is_stale_and_changes_nothing(taken_over: Any, outcome: Outcome | None) -> None:
    zombie, before, heir, now = taken_over
    late = zombie.report(before, outcome, epochs=(3,))
    assert (late.status, late.action) == ("stale_attempt", "stop")
    view = results.trial(heir.ctx, now.trial_id)
    assert (view.state, view.attempt, view.value) == ("RUNNING", 2, None)
    assert heir.report(now, complete(0.5), epochs=(1,)).status == "accepted"
    assert zombie.report(before, outcome).status == "stale_attempt"
    assert results.trial(heir.ctx, now.trial_id).value == 0.5
    assert "report.stale_attempt" in kinds(heir.ctx, now.study_id)
    study(heir.ctx)
    assert zombie.one().attempt == 1, "the zombie goes on with the next trial"


def test_a_zombie_that_guesses_the_new_attempt_is_forbidden(taken_over: Any) -> None:
    zombie, before, heir, now = taken_over
    assert zombie.report(before, complete(0.1), attempt=now.attempt).status == "forbidden"
    assert zombie.report(before, attempt=now.attempt, epochs=(1,)).status == "forbidden"
    assert heir.report(now, complete(0.5)).status == "accepted"


def test_a_new_attempt_begins_a_new_history_and_the_old_one_is_kept(taken_over: Any) -> None:
    _, before, heir, now = taken_over
    better = (Measurement(epoch=1, metrics={"accuracy": 0.75}),)
    assert heir.report(now, measurements=better).status == "accepted"

    def curve(attempt: int | None = None) -> list[tuple[int, float | None]]:
        page = results.measurements(heir.ctx, before.trial_id, attempt=attempt)
        return [(point.epoch, point.metrics["accuracy"]) for point in page.items]

    assert (curve(1), curve()) == ([(1, 0.5), (2, 0.5)], [(1, 0.75)])


def test_reports_that_arrive_in_the_wrong_order_overwrite_nothing(manual_context: Context) -> None:
    study(manual_context)
    worker = StubWorker(manual_context)
    trial = worker.one()
    assert worker.report(trial, epochs=(2, 3)).status == "accepted"
    assert worker.report(trial, epochs=(1,)).status == "result_conflict"
    assert worker.report(trial, complete(0.5), epochs=(4,)).status == "accepted"
    for late in ((5,), (3, 4), (1,)):
        assert worker.report(trial, epochs=late).status == "stale_attempt"
    assert [p.epoch for p in results.measurements(manual_context, trial.trial_id).items] == [2, 3, 4]


@pytest.mark.parametrize("attempt", [0, 2, 2**31 - 1])
def test_an_attempt_that_never_was_is_stale(manual_context: Context, attempt: int) -> None:
    study_id = study(manual_context)
    worker = StubWorker(manual_context)
    trial = worker.one()
    if attempt == 0:  # a trial that nobody has begun yet
        waiting = next(t for t in results.trials(manual_context, study_id, limit=9).items if t.state == "WAITING")
        trial = trial.model_copy(update={"trial_id": waiting.trial_id})
        attempt = 1
    assert worker.report(trial, complete(0.9), attempt=attempt, epochs=(1,)).status == "stale_attempt"
    assert crud.get(manual_context, study_id).n_trials == 0


def test_a_worker_that_takes_everything_and_goes_silent_costs_a_lease(
    manual_context: Context, manual_clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "MAX_HELD", 8)
    study_id = study(manual_context, budget={"max_trials": 12})
    greedy, other = StubWorker(manual_context), StubWorker(manual_context)
    held = [trial for _ in range(5) for trial in greedy.claim(1024).trials]
    assert len(held) == 8, "there is an end to what one worker may hold"
    assert len(other.claim(1024).trials) == 4
    assert lapse(manual_context, manual_clock) == 12
    done = other.work(crud.get(manual_context, study_id))
    assert (done.state, done.counts["COMPLETE"]) == ("COMPLETED", 12)
    assert {greedy.report(trial, complete(0.9)).status for trial in held} == {"stale_attempt"}


def test_five_lapsed_leases_fail_a_trial_after_growing_pauses(
    manual_context: Context, manual_clock: ManualClock
) -> None:
    study_id = study(manual_context, budget={"max_trials": 1})
    pauses: list[int] = []
    for attempt in range(1, 6):
        worker = StubWorker(manual_context)
        given = worker.claim().trials
        pauses.append(0)
        while not given:
            manual_clock.advance(1)
            pauses[-1] += 1
            given = worker.claim().trials
        assert given[0].attempt == attempt
        assert lapse(manual_context, manual_clock) == 1
    reaper_s = manual_context.settings.reaper_s
    assert pauses[:2] == [0, 0], "the first loss is tried again at once"
    for pause, factor in zip(pauses[2:], (1, 3, 7), strict=True):
        assert 0.5 * factor * reaper_s <= pause <= factor * reaper_s + 1
    view = results.trial(manual_context, given[0].trial_id)
    assert (view.state, view.cause, len(view.attempts)) == ("FAILED", "lost_repeatedly", 5)
    assert crud.get(manual_context, study_id).n_trials == 1


def test_a_release_is_no_lost_attempt_however_often(manual_context: Context) -> None:
    study(manual_context, budget={"max_trials": 1})
    worker = StubWorker(manual_context)
    for attempt in range(1, 9):
        given = worker.one()
        assert given.attempt == attempt
        assert worker.report(given, Outcome(state="RELEASED", cause="shutdown")).status == "accepted"
    assert worker.report(worker.one(), complete(0.5)).status == "accepted"


def test_divergence_is_never_tried_again(manual_context: Context) -> None:
    study_id = study(manual_context, budget={"max_trials": 2})
    worker = StubWorker(manual_context)
    trials = [worker.one(), worker.one()]
    for trial in trials:
        assert worker.report(trial, DIVERGED, epochs=(1,)).status == "accepted"
    done = crud.get(manual_context, study_id)
    assert (done.state, done.counts["INFEASIBLE"], done.best) == ("FAILED", 2, None), "no result, and no success"
    assert worker.claim(9).trials == ()
    assert [results.trial(manual_context, trial.trial_id).attempt for trial in trials] == [1, 1]


def test_out_of_memory_goes_elsewhere_once_and_back_when_there_is_nobody_else(
    manual_context: Context, manual_clock: ManualClock
) -> None:
    study(manual_context, budget={"max_trials": 1})
    worker = StubWorker(manual_context)
    oom = Outcome(state="INFEASIBLE", cause="oom")
    worker.report(worker.one(), oom)
    assert worker.claim().trials == (), "another worker has a minute to take it"
    manual_clock.advance(61)
    again = worker.one()
    assert again.attempt == 2
    worker.report(again, oom)
    view = results.trial(manual_context, again.trial_id)
    assert (view.state, view.cause, view.value) == ("INFEASIBLE", "oom", None)


@pytest.mark.parametrize("cause", ["data_mismatch", "disk_full"])
def test_a_worker_in_trouble_gives_back_and_is_left_alone(
    manual_context: Context, manual_clock: ManualClock, cause: str
) -> None:
    study_id = study(manual_context, budget={"max_trials": 1})
    sick, well = StubWorker(manual_context), StubWorker(manual_context)
    for attempt in range(1, 8):
        given = sick.one()
        assert given.attempt == attempt
        sick.report(given, Outcome(state="RELEASED", cause=cause))
        assert sick.claim().trials == ()
        manual_clock.advance(61)
    assert well.finish(well.one()).status == "accepted"
    assert crud.get(manual_context, study_id).counts["COMPLETE"] == 1


@pytest.mark.parametrize("failure", [ERROR, CRASH])
def test_a_worker_that_fails_while_others_succeed_is_quarantined_longer_each_time(
    manual_context: Context, manual_clock: ManualClock, failure: Outcome
) -> None:
    study_id = study(manual_context, budget={"max_trials": 40, "max_failed": 40})
    sick, well = StubWorker(manual_context), StubWorker(manual_context)
    assert well.finish(well.one()).status == "accepted"
    for pause_s in (60, 120, 240):
        for _ in range(4):
            sick.report(sick.one(), failure)
        assert fleet.get(manual_context, sick.worker_id).state == "ACTIVE", "four failures may be chance"
        sick.report(sick.one(), failure)
        assert fleet.get(manual_context, sick.worker_id).state == "QUARANTINED"
        assert sick.claim().trials == ()
        assert well.finish(well.one()).status == "accepted"
        manual_clock.advance(pause_s - 1)
        assert sick.claim().trials == ()
        manual_clock.advance(2)
    assert sick.finish(sick.one()).status == "accepted"
    assert "worker.quarantined" in kinds(manual_context, study_id)


def test_where_nobody_succeeds_nobody_is_quarantined(manual_context: Context) -> None:
    study(manual_context, budget={"max_trials": 40, "max_failed": 40})
    workers = [StubWorker(manual_context) for _ in range(2)]
    for _ in range(7):
        for worker in workers:
            worker.report(worker.one(), ERROR)
    assert {fleet.get(manual_context, worker.worker_id).state for worker in workers} == {"ACTIVE"}


def test_what_a_quarantined_worker_lost_is_finished_by_others(
    manual_context: Context, manual_clock: ManualClock
) -> None:
    view = crud.create(manual_context, ADMIN, grid())
    sick, well = StubWorker(manual_context), StubWorker(manual_context)
    assert well.finish(well.one()).status == "accepted"
    lost = [sick.one() for _ in range(5)]
    for trial in lost:
        sick.report(trial, CRASH)
    assert sick.claim().trials == ()
    manual_clock.advance(30)
    done = well.work(view)
    assert (done.state, done.counts["COMPLETE"]) == ("COMPLETED", 12)
    for trial in lost:
        again = results.trial(manual_context, trial.trial_id)
        assert (again.params, again.seed, again.attempt) == (trial.params, trial.seed, 2)


def test_what_a_quarantined_worker_holds_goes_back_untouched(
    manual_context: Context, manual_clock: ManualClock
) -> None:
    view = crud.create(manual_context, ADMIN, grid())
    sick, well = StubWorker(manual_context), StubWorker(manual_context)
    assert well.finish(well.one()).status == "accepted"
    failing, held = sick.claim(5).trials, sick.claim(3).trials
    assert requeue_quarantined(manual_context) == 0, "nobody is in quarantine"
    for trial in failing:
        sick.report(trial, CRASH)
    assert requeue_quarantined(manual_context) == 3
    assert requeue_quarantined(manual_context) == 0
    assert sick.report(held[0], epochs=(1,)).status == "stale_attempt"
    assert sick.report(held[1], complete(0.9)).status == "stale_attempt"
    manual_clock.advance(30)
    done = well.work(view)
    assert (done.state, done.counts["COMPLETE"]) == ("COMPLETED", 12)
    for trial in held:
        again = results.trial(manual_context, trial.trial_id)
        assert (again.attempt, [one.state for one in again.attempts]) == (2, ["RELEASED", "COMPLETE"])
    assert invariants.check(manual_context.store) == []


@contextmanager
def full_disk(ctx: Context) -> Iterator[None]:
    """Let the SQLite file not grow any more."""

    def cap(connection: Any, _record: object = None) -> None:
        (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={n_pages + 2}").close()

    engine = ctx.store._writer
    engine.dispose()
    on.listen(engine, "connect", cap)
    yield
    on.remove(engine, "connect", cap)
    engine.dispose()


def test_a_full_disk_refuses_whole_requests_and_is_told_until_there_is_room(sqlite_url: str, tmp_path: Path) -> None:
    ctx = Context.open(Settings(data_dir=tmp_path / "data", database_url=sqlite_url))
    study_id = study(ctx, budget={"max_trials": 400})
    worker = StubWorker(ctx)
    given = [worker.one() for _ in range(3)]
    assert worker.finish(given[0]).status == "accepted"
    assert health.ready(ctx) == {"database": True, "disk": True}
    wide = (Measurement(epoch=1, metrics={f"metric_{i}_{'x' * 40}": 1 / 3 for i in range(60)}),)
    large = complete(0.5, detail="y" * 16_000)
    with full_disk(ctx):

        def write_on() -> None:
            for trial in given[1:] * 20:
                worker.report(trial, large, measurements=wide)
                worker.claim(100)

        with pytest.raises(UnavailableError, match="full"):
            write_on()
        assert health.ready(ctx)["disk"] is False
        assert results.trial(ctx, given[0].trial_id).state == "COMPLETE", "earlier rows are intact and readable"
        assert invariants.check(ctx.store) == []
    for trial in given[1:]:
        assert worker.report(trial, large, measurements=wide).status in ("accepted", "replayed")
    assert crud.get(ctx, study_id).counts["COMPLETE"] == 3
    ctx.store._full_s = None if ctx.store._full_s is None else ctx.store._full_s - 11  # ten seconds later
    assert health.ready(ctx)["disk"] is True
    assert invariants.check(ctx.store) == []
    ctx.close()


@pytest.mark.parametrize(("kind", "refused"), [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("ext4", False)])
def test_a_sqlite_file_on_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, refused: bool
) -> None:
    mounts = Path("/proc/self/mounts")
    plain = Path.read_text

    def told(path: Path, *args: Any, **named: Any) -> str:
        lines = plain(path, *args, **named) if path != mounts else "overlay / overlay rw 0 0\n"
        return lines if path != mounts else f"{lines}server:/share {tmp_path} {kind} rw 0 0\n"

    monkeypatch.setattr(Path, "read_text", told)
    settings = Settings(data_dir=tmp_path / "data")
    if refused:
        with pytest.raises(InvalidInputError, match="network file system"):
            Context.open(settings)
        assert not list((tmp_path / "data").glob("*.sqlite3"))
    else:
        Context.open(settings).close()
