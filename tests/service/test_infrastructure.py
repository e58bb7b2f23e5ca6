"""A lost data file or a sick machine fails no trial and uses up no budget; what is there again is used at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.clock import ManualClock
from hpsearch.content.store import name_of
from hpsearch.domain.trial import Outcome
from hpsearch.errors import NotFoundError
from hpsearch.service import datasets
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers
from hpsearch.service.results import trials
from hpsearch.service.studies import crud
from tests.invariants import invariants
from tests.service.fleet_stub import ADMIN, StubWorker, definition


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("a,b,label\n" + "".join(f"{i},{i % 7},{'yes' if i % 3 else 'no'}\n" for i in range(60)))
    return path


def lose(ctx: Context, digest: str, *, damaged: bool = False) -> None:
    """Take a content out of the store, or put other bytes in its place."""
    with ctx.store.read() as tx:
        copy = tx.contents.copy_of(digest)
    assert copy is not None
    name = name_of(digest, copy)
    ctx.content.store.delete(name)
    if ctx.content.cache is not None:
        ctx.content.cache.forget(name)
    if damaged:
        other = ctx.content.new_temporary()
        other.write_bytes(b"not what it was")
        ctx.content.store.put(name, other)


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_trials_wait_for_a_file_that_the_server_lost_and_go_on_when_it_is_added_again(
    manual_context: Context, manual_clock: ManualClock, rows: Path, how: str
) -> None:
    ctx, worker = manual_context, StubWorker(manual_context)
    data = datasets.upload(ctx, ADMIN, rows, name="rows", target="label")
    plan = definition(dataset={"id": data.dataset_id}, budget={"max_trials": 4, "max_failed": 1})
    study_id = crud.create(ctx, ADMIN, plan).study_id
    lose(ctx, data.digest, damaged=how == "damaged")
    gone = Outcome(
        state="RELEASED", cause="data_missing" if how == "missing" else "data_mismatch", detail="no such file"
    )
    for wait_s in (10, 20, 40):
        trial = worker.one()
        assert worker.report(trial, gone).status == "accepted"
        assert worker.report(trial, gone).status == "replayed"
        assert worker.claim(9).trials == (), "all of its trials wait"
        manual_clock.advance(wait_s + 1)
    view = crud.get(ctx, study_id)
    assert view.note_to_user == (
        f"the stored file of its data set 'rows' is {how}: add the same file again "
        "(`hpsearch datasets add FILE --target label`); its trials wait until then"
    )
    assert (view.state, view.n_trials, view.counts["WAITING"]) == ("RUNNING", 0, 4)
    assert workers.get(ctx, worker.worker_id).state == "ACTIVE", "it is not the worker's fault"
    worker.report(worker.one(), gone)
    assert worker.claim(9).trials == ()
    assert invariants.check(ctx.store) == []

    assert datasets.upload(ctx, ADMIN, rows, name="the same rows", target="label").digest == data.digest
    assert ctx.content.path(data.digest).exists()
    assert crud.get(ctx, study_id).note_to_user is None
    done = worker.work(view)
    assert (done.state, done.counts["COMPLETE"], done.counts["FAILED"]) == ("COMPLETED", 4, 0)
    assert invariants.check(ctx.store) == []


def test_a_set_that_the_server_can_make_is_made_again(manual_context: Context) -> None:
    study_id = crud.create(manual_context, ADMIN, definition()).study_id
    worker = StubWorker(manual_context)
    digest = crud.get(manual_context, study_id).resolved.dataset_digest
    lose(manual_context, digest)
    with pytest.raises(NotFoundError, match="missing"):
        manual_context.content.path(digest)
    worker.report(worker.one(), Outcome(state="RELEASED", cause="data_missing"))
    assert manual_context.content.path(digest).exists()


@pytest.mark.parametrize("cause", ["disk_full", "infrastructure", "data_missing", "data_mismatch"])
def test_a_sick_worker_is_left_alone_and_the_study_says_so_until_the_next_result(
    manual_context: Context, manual_clock: ManualClock, cause: str
) -> None:
    study_id = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 1, "max_failed": 1})).study_id
    sick, well = StubWorker(manual_context, name="sick"), StubWorker(manual_context, name="well")
    trial = sick.one()
    outcome = Outcome.model_validate({"state": "FAILED", "cause": cause, "detail": "input/output error"})
    assert sick.report(trial, outcome).status == "accepted"
    seen = workers.get(manual_context, sick.worker_id)
    assert (seen.state, seen.quarantine_reason) == ("QUARANTINED", f"{cause}: input/output error")
    assert sick.claim().trials == ()
    note = f"the worker sick gave a trial back ({cause}: input/output error)"
    assert crud.get(manual_context, study_id).note_to_user == note
    assert crud.get(manual_context, study_id).n_trials == 0
    again = well.one()
    assert (again.trial_id, again.attempt, again.alone) == (trial.trial_id, 2, False)
    assert well.finish(again).status == "accepted"
    done = crud.get(manual_context, study_id)
    assert (done.state, done.counts["COMPLETE"], done.note_to_user) == ("COMPLETED", 1, None)
    assert [one.state for one in trials.trial(manual_context, trial.trial_id).attempts] == ["RELEASED", "COMPLETE"]
    assert invariants.check(manual_context.store) == []
