"""Leaderboards, pages and events: ranked, complete, without gaps or repeats."""

from __future__ import annotations

import pytest

from hpsearch.domain.trial import Trial
from hpsearch.errors import InvalidInputError, NotFoundError
from hpsearch.service.context import Context
from hpsearch.service.results import events, trials
from hpsearch.service.studies import crud
from hpsearch.wire.pages import LeaderboardRow
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition


@pytest.fixture
def study_id(manual_context: Context, worker: StubWorker) -> str:
    """A study of 25 results, many of them equal."""
    study = crud.create(manual_context, ADMIN, definition(budget={"max_trials": 30}))
    for n, trial in enumerate(worker.claim(25).trials):
        worker.report(trial, complete((n % 5) / 10, device_seconds=float(n)))
    return study.study_id


def test_pages_of_the_leaderboard_join_without_gaps(manual_context: Context, study_id: str) -> None:
    rows: list[LeaderboardRow] = []
    token = None
    while True:
        page = trials.leaderboard(manual_context, study_id, limit=4, page_token=token)
        rows += page.items
        token = page.next_page_token
        if token is None:
            break
    assert [row.rank for row in rows] == list(range(1, 26))
    assert [row.value for row in rows] == sorted((row.value for row in rows), reverse=True)
    assert len({row.trial_id for row in rows}) == 25
    equal = [row.number for row in rows if row.value == 0.4]
    assert equal == sorted(equal), "of equal trials the earlier stands first"


@pytest.mark.parametrize("sort", ["number", "value", "epochs", "device_seconds", "n_weights", "created_at"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_of_trials_join_in_every_order(manual_context: Context, study_id: str, sort: str, order: str) -> None:
    found: list[Trial] = []
    token = None
    while True:
        page = trials.trials(manual_context, study_id, limit=7, page_token=token, sort=sort, order=order)
        found += page.items
        token = page.next_page_token
        if token is None:
            break
    assert len({t.trial_id for t in found}) == len(found) == 30
    values = [getattr(t, sort) for t in found if getattr(t, sort) is not None]
    assert values == sorted(values, reverse=order == "desc")
    present = [getattr(t, sort) is not None for t in found]
    assert present == sorted(present, reverse=True), "trials without the value come last"


def test_trials_are_filtered(manual_context: Context, study_id: str) -> None:
    waiting = trials.trials(manual_context, study_id, limit=100, state="WAITING").items
    assert len(waiting) == 5
    assert trials.trials(manual_context, study_id, limit=100, kinds=("baseline",)).items == ()


@pytest.mark.parametrize(
    "wrong",
    [{"limit": 0}, {"limit": 10**9}, {"sort": "params"}, {"order": "up"}, {"state": "GONE"}, {"page_token": "abc"}],
)
def test_a_wrong_argument_is_named(manual_context: Context, study_id: str, wrong: dict[str, object]) -> None:
    arguments: dict[str, object] = {"limit": 10, **wrong}
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        trials.trials(manual_context, study_id, **arguments)  # type: ignore[arg-type]


def test_a_token_of_another_list_is_refused(manual_context: Context, study_id: str) -> None:
    token = trials.trials(manual_context, study_id, limit=3).next_page_token
    with pytest.raises(InvalidInputError, match="page_token"):
        trials.leaderboard(manual_context, study_id, page_token=token)


def test_the_tag_changes_with_a_result_and_not_without(
    manual_context: Context, worker: StubWorker, study_id: str
) -> None:
    tag = trials.leaderboard_etag(manual_context, study_id)
    trial = worker.one()
    worker.report(trial, epochs=(1,))
    assert trials.leaderboard_etag(manual_context, study_id) == tag
    worker.report(trial, complete(0.9))
    assert trials.leaderboard_etag(manual_context, study_id) != tag


def test_an_export_has_every_trial(manual_context: Context, study_id: str) -> None:
    rows = list(trials.export_rows(manual_context, study_id))
    assert len(rows) == 30
    assert rows[0]["param.units"] == 8
    assert rows[3]["metric.accuracy"] == 0.3


def test_events_are_followed_without_gaps(manual_context: Context, worker: StubWorker, study_id: str) -> None:
    every = events.since(manual_context, study_id, after=None, limit=1000)
    assert every[0].kind == "study.created"
    assert [e.kind for e in every].count("trial.complete") == 25
    half = events.since(manual_context, study_id, after=every[40].event_id, limit=1000)
    assert [e.event_id for e in half] == [e.event_id for e in every[41:]]
    assert events.latest_id(manual_context, study_id) == every[-1].event_id
    assert events.since(manual_context, study_id, after=every[-1].event_id) == []


def test_what_does_not_exist_is_named(manual_context: Context) -> None:
    for ask in (trials.leaderboard, trials.trial, trials.measurements, events.latest_id):
        with pytest.raises(NotFoundError, match="nothing"):
            ask(manual_context, "nothing")


@pytest.mark.parametrize("event_id", ["", "x", "1", "1-", "-1-2", "1-2-3", "9" * 50])
def test_a_foreign_event_id_is_refused(manual_context: Context, study_id: str, event_id: str) -> None:
    with pytest.raises(InvalidInputError, match="Last-Event-ID"):
        events.since(manual_context, study_id, after=event_id)
