"""Studies side by side: what a list shows of them, and what it asks the database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hpsearch.clock import ManualClock
from hpsearch.errors import InvalidInputError
from hpsearch.lru_cache import LruCache
from hpsearch.service.context import Context
from hpsearch.service.studies import crud, steering
from hpsearch.service.studies import overview as module
from hpsearch.service.studies.overview import StudySummary, overview
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition
from tests.service.statements import statements_run


def _only(ctx: Context) -> StudySummary:
    (found,) = overview(ctx, limit=10).studies
    return found


def _work(worker: StubWorker, *values: float) -> None:
    for value in values:
        assert worker.report(worker.one(), complete(value, device_seconds=2.0)).status == "accepted"


def test_a_fresh_study_promises_nothing(manual_context: Context) -> None:
    crud.create(manual_context, ADMIN, definition(name="n"))
    found = _only(manual_context)
    assert (found.n_trials, found.max_trials, found.best_value, found.improvements) == (0, 6, None, ())
    assert found.left_s is None
    assert found.n_waiting == 6
    assert not overview(manual_context, limit=10).any_worker


@pytest.mark.parametrize(
    ("metric", "values", "improvements"),
    [
        ("accuracy", (0.5, 0.4, 0.7, 0.7, 0.6, 0.8), ((1, 0.5), (3, 0.7), (6, 0.8))),
        ("loss", (0.5, 0.4, 0.7, 0.4, 0.3, 0.3), ((1, 0.5), (2, 0.4), (5, 0.3))),
    ],
)
def test_the_way_to_the_best_value(
    manual_context: Context, worker: StubWorker, metric: str, values: tuple[float, ...], improvements: object
) -> None:
    crud.create(manual_context, ADMIN, definition(objective={"metric": metric}))
    clock = manual_context.clock
    assert isinstance(clock, ManualClock)
    for n, value in enumerate(values, 1):
        clock.advance(1.0)
        _work(worker, value)
        found = _only(manual_context)
        assert found.n_results == n
        assert found.improvements[-1][1] == found.best_value
    assert found.improvements == improvements
    assert found.device_seconds == 12.0
    assert overview(manual_context, limit=10).any_worker


@pytest.mark.parametrize(
    ("budget", "left_s"),
    [
        ({"max_trials": 6}, 40.0),
        ({"max_trials": 6, "wall_time_s": 25.0}, 5.0),
        ({"max_trials": 6, "device_seconds": 7.0}, 15.0),
        ({"max_trials": 6, "device_seconds": 700.0, "wall_time_s": 1000.0}, 40.0),
    ],
)
def test_how_long_it_will_last(
    manual_context: Context, worker: StubWorker, budget: dict[str, float], left_s: float
) -> None:
    made = crud.create(manual_context, ADMIN, definition(budget=budget))
    clock = manual_context.clock
    assert isinstance(clock, ManualClock)
    clock.advance(0.5)  # until a worker comes
    for value in (0.5, 0.6):
        trial = worker.one()
        clock.advance(9.75)
        assert worker.report(trial, complete(value, device_seconds=2.0)).status == "accepted"
    assert _only(manual_context).left_s == pytest.approx(left_s, rel=0.03)
    steering.pause(manual_context, made.study_id)
    assert _only(manual_context).left_s is None


def test_a_pause_is_no_part_of_the_pace(manual_context: Context, worker: StubWorker) -> None:
    study_id = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 6})).study_id
    clock = manual_context.clock
    assert isinstance(clock, ManualClock)
    steering.pause(manual_context, study_id)
    clock.advance(86_400.0)
    steering.resume(manual_context, study_id)
    trial = worker.one()
    clock.advance(10.0)
    assert worker.report(trial, complete(0.5)).status == "accepted"
    assert _only(manual_context).left_s == pytest.approx(50.0)


def test_a_page_costs_the_same_however_much_happened(
    manual_context: Context, worker: StubWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_improvements", LruCache(16))
    for _ in range(3):
        crud.create(manual_context, ADMIN, definition(budget={"max_trials": 30}))
    _work(worker, 0.5, 0.9)
    with statements_run() as cold:
        overview(manual_context, limit=10)
    with statements_run() as warm:
        overview(manual_context, limit=10)
    _work(worker, *([0.4] * 20))
    with statements_run() as later:
        overview(manual_context, limit=10)
    ours = [[one for one in statements if "study" in one or "worker" in one] for statements in (cold, warm, later)]
    paces = [[one for one in statements if "number DESC" in one] for statements in ours]
    assert [len(one) for one in paces] == [1, 1, 1]  # of the study under way that has results
    assert len(ours[0]) == 1 + 3 + 3  # studies, open trials, workers; and the improvements of each
    assert len(ours[1]) == len(ours[2]) == 1 + 3  # nothing better came


def test_a_worker_of_long_ago_does_not_count(manual_context: Context, worker: StubWorker) -> None:
    assert overview(manual_context, limit=10).any_worker
    clock = manual_context.clock
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(minutes=2).total_seconds())
    assert not overview(manual_context, limit=10).any_worker


@pytest.mark.parametrize("label", ["", "=", " =x"])
def test_labels_that_can_not_be_looked_for(context: Context, label: str) -> None:
    with pytest.raises(InvalidInputError, match="label must be"):
        overview(context, limit=10, label=label)


@pytest.mark.parametrize("label", ["$", "a.b", "a[0]", "'", "%", "ü", "a'b=c'd", "[", "#-1", "*", 'a"b', "a\\b", "{}"])
def test_labels_of_any_kind_are_looked_for(context: Context, label: str) -> None:
    made = crud.create(context, ADMIN, definition())
    key, _, value = label.partition("=")
    with context.store.write() as tx:
        tx.studies.lock_uid(made.study_id).edit(labels={key: value})
    assert [one.study_id for one in overview(context, limit=10, label=label).studies] == [made.study_id]
    assert not overview(context, limit=10, label=f"x{label}").studies
