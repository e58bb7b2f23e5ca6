"""Pages of trials in every order: whole, without repetitions, begun where an index says, never by a forged token."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as on

from hpsearch.domain.trial import Outcome
from hpsearch.errors import InvalidInputError
from hpsearch.service import datasets
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers
from hpsearch.service.results import trials as results
from hpsearch.service.studies import crud
from hpsearch.settings import Settings
from hpsearch.storage.trials import SORTS
from tests.service.fleet_stub import ADMIN, StubWorker, complete, definition


@pytest.fixture
def sqlite_context(sqlite_url: str, tmp_path: Path) -> Iterator[Context]:
    """A service on SQLite, which tells how it would find rows however few there are."""
    opened = Context.open(Settings(data_dir=tmp_path / "data", database_url=sqlite_url))
    yield opened
    opened.close()


@pytest.fixture
def study_id(context: Context) -> str:
    """Trials with equal values, without values, waiting and running ones."""
    made = crud.create(context, ADMIN, definition(budget={"max_trials": 24, "max_failed": 24})).study_id
    worker = StubWorker(context)
    for number, trial in enumerate(worker.claim(18).trials):
        if number % 6 == 5:
            worker.report(trial, Outcome(state="FAILED", cause="training_error"))
        elif number % 6 == 4:
            worker.report(trial, Outcome(state="INFEASIBLE", cause="diverged", epochs=2, device_seconds=number))
        elif number % 6 < 3:
            outcome = complete(0.5 + number % 4 / 10, device_seconds=0.5 * (number % 3))
            worker.report(trial, outcome.model_copy(update={"epochs": 1 + number % 2}))
    return made


def walk(context: Context, study_id: str, **how: Any) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = results.trials(context, study_id, limit=5, page_token=token, **how)
        found += page.items
        token = page.next_page_token
        if token is None:
            return found


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", [*SORTS, "param.learning_rate"])
def test_pages_follow_one_another(context: Context, study_id: str, sort: str, order: str) -> None:
    def key(trial: Any) -> Any:
        return trial.params["learning_rate"] if sort == "param.learning_rate" else getattr(trial, sort)

    trials = sorted(walk(context, study_id), key=lambda trial: trial.number)
    assert len(trials) == 24
    sign = -1 if order == "desc" else 1
    numbers = {trial.number: sign * trial.number for trial in trials}
    known = [trial for trial in trials if key(trial) is not None]
    known.sort(key=lambda trial: trial.number, reverse=order == "desc")
    known.sort(key=key, reverse=order == "desc")
    unknown = sorted((trial for trial in trials if key(trial) is None), key=lambda trial: numbers[trial.number])
    found = walk(context, study_id, sort=sort, order=order)
    assert [trial.number for trial in found] == [trial.number for trial in (*known, *unknown)]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("sort", ["number", "value", "epochs", "duration_s", "created_at"])
def test_a_page_of_a_long_study_sorts_nothing(sqlite_context: Context, sort: str, order: str) -> None:
    study_id = crud.create(sqlite_context, ADMIN, definition(budget={"max_trials": 60})).study_id
    worker = StubWorker(sqlite_context)
    for trial in worker.claim(60).trials:
        worker.finish(trial)
    asked: list[tuple[str, Any]] = []
    on.listen(sqlite_context.store._reader, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    first = results.trials(sqlite_context, study_id, limit=5, sort=sort, order=order)
    results.trials(sqlite_context, study_id, limit=5, sort=sort, order=order, page_token=first.next_page_token)
    plans = []
    with sqlite_context.store.read() as tx:
        for statement, values in [one for one in asked if " AS position" in one[0]]:
            rows = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans.append(" ".join(row.detail for row in rows))
    assert len(plans) == 2
    for plan in plans:
        assert "TEMP B-TREE" not in plan, plan
        assert "SEARCH trial USING" in plan, plan


FORGED: list[Any] = ["x", None, 2**70, 10**400, float("inf"), float("nan"), True, -(2**63)]


@pytest.mark.parametrize("forged", FORGED, ids=repr)
def test_a_forged_token_is_refused_by_every_list(context: Context, study_id: str, forged: Any) -> None:
    def token(*values: Any) -> str:
        raw = json.dumps(values)
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    trial_id = results.trials(context, study_id, limit=1).items[0].trial_id
    lists: dict[str, Any] = {
        "studies": lambda t: crud.listing(context, limit=5, page_token=t),
        "datasets": lambda t: datasets.listing(context, limit=5, page_token=t),
        "workers": lambda t: workers.listing(context, limit=5, page_token=t),
        "measurements:1": lambda t: results.measurements(context, trial_id, attempt=1, limit=5, page_token=t),
    }
    for scope, ask in lists.items():
        with pytest.raises(InvalidInputError, match="page_token"):
            ask(token(scope, forged))
    for sort in ("number", "value", "created_at", "param.learning_rate"):
        for values in ((forged, 1), (1, forged)):
            if values == (None, 1) and sort in ("value", "param.learning_rate"):
                continue  # after those with a value come those without
            with pytest.raises(InvalidInputError, match="page_token"):
                results.trials(context, study_id, limit=5, sort=sort, page_token=token(f"trials:{sort}:0", *values))
    for place in range(4):
        values = [1, 0.5, 3, 4]
        values[place] = forged
        with pytest.raises(InvalidInputError, match="page_token"):
            results.leaderboard(context, study_id, limit=5, page_token=token("leaderboard", *values))
