"""Creating, changing and deleting studies; what can not work leaves nothing behind."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hpsearch.clock import ManualClock
from hpsearch.errors import ConflictError, InvalidInputError, NotFoundError
from hpsearch.service.context import Context
from hpsearch.service.results import trials
from hpsearch.service.studies import crud, preview, steering
from hpsearch.wire.studies import CloneRequest, StudyPatch
from tests.service.fleet_stub import ADMIN, StubWorker, definition, grid


def test_what_was_left_open_is_decided(manual_context: Context) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    resolved = study.resolved
    assert (resolved.task, resolved.metric, resolved.direction) == ("multiclass", "accuracy", "maximize")
    assert (resolved.n_inputs, resolved.n_outputs, resolved.max_trials) == (4, 3, 6)
    regression = crud.create(manual_context, ADMIN, definition(dataset={"builtin": "diabetes"}))
    assert (regression.resolved.task, regression.resolved.metric, regression.resolved.n_outputs) == (
        "regression",
        "mse",
        1,
    )


def test_a_study_whose_points_are_hard_to_find_is_created_quickly(manual_context: Context) -> None:
    """Under the tightest limit each point of the widest networks takes 0.05 s; 256 of them once came first."""
    space = {f"units_{i}": {"type": "int", "low": 1, "high": 60_000, "steps": 10_000} for i in range(1, 33)}
    hard = definition(space=space, constraints={"max_weights": 200}, budget={"max_trials": 1_000}, baselines=False)
    begun_s = time.process_time()
    study = crud.create(manual_context, ADMIN, hard)
    assert time.process_time() - begun_s < 3
    assert study.counts["WAITING"] == 8


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"objective": {"metric": "r2"}}, "r2"),
        ({"dataset": {"id": "0000"}}, "0000"),
        ({"constraints": {"max_weights": 5}}, "weight"),
        ({"split": {"folds": 40, "test": 0.8}}, "fold"),
        ({"task": "binary"}, "binary"),
        ({"split": {"column": "fold"}}, "fold"),
    ],
)
def test_a_study_that_can_not_work_is_refused_whole(manual_context: Context, change: dict[str, Any], word: str) -> None:
    plan = definition(**change)
    with pytest.raises((InvalidInputError, NotFoundError), match=word):
        crud.create(manual_context, ADMIN, plan)
    assert crud.listing(manual_context, limit=10, page_token=None).items == ()
    checked = preview.validate(manual_context, plan)
    assert not checked.valid
    assert word in checked.errors[0].message


def test_a_grid_above_the_cap_is_counted_not_expanded(manual_context: Context) -> None:
    axis = {"type": "float", "low": 1e-4, "high": 1.0, "log": True, "steps": 10_000}
    rates = {
        "learning_rate": axis,
        "weight_decay": axis,
        "dropout": {"type": "float", "low": 0, "high": 0.5, "steps": 10_000},
    }
    with pytest.raises(InvalidInputError, match=r"1,?000,?000,?000,?000"):
        crud.create(manual_context, ADMIN, grid(space=rates))


def test_the_same_key_creates_once(manual_context: Context) -> None:
    first = crud.create(manual_context, ADMIN, definition(), idempotency_key="k")
    again = crud.create(manual_context, ADMIN, definition(), idempotency_key="k")
    assert first.study_id == again.study_id
    with pytest.raises(InvalidInputError, match="Idempotency-Key"):
        crud.create(manual_context, ADMIN, definition(name="other"), idempotency_key="k")


def test_a_key_whose_study_was_deleted_makes_no_other(manual_context: Context) -> None:
    made = crud.create(manual_context, ADMIN, definition(), idempotency_key="k")
    steering.cancel(manual_context, made.study_id)
    crud.delete(manual_context, made.study_id)
    with pytest.raises(NotFoundError, match=f"{made.study_id}, was deleted since; choose a new key"):
        crud.create(manual_context, ADMIN, definition(), idempotency_key="k")


def test_patch_changes_what_it_names(manual_context: Context) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    changed = crud.patch(manual_context, study.study_id, StudyPatch(notes="watch this", labels={"team": "a"}))
    assert (changed.name, changed.notes, changed.labels) == ("iris", "watch this", {"team": "a"})


def test_only_an_ended_study_is_deleted(manual_context: Context, worker: StubWorker) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    trial = worker.one()
    with pytest.raises(ConflictError, match="cancel"):
        crud.delete(manual_context, study.study_id)
    steering.cancel(manual_context, study.study_id)
    crud.delete(manual_context, study.study_id)
    with pytest.raises(NotFoundError):
        trials.trial(manual_context, trial.trial_id)
    assert worker.report(trial).status == "not_found"


def test_a_clone_has_the_same_definition_and_points(manual_context: Context) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    copy = steering.clone(manual_context, ADMIN, study.study_id, CloneRequest(name="again"))
    assert copy.name == "again"
    assert copy.definition.space == study.definition.space
    points = [
        [t.params for t in trials.trials(manual_context, s, limit=9).items] for s in (study.study_id, copy.study_id)
    ]
    assert points[0] == points[1]


def test_studies_are_listed_newest_first_in_pages(manual_context: Context) -> None:
    names = [f"study {n}" for n in range(5)]
    for name in names:
        crud.create(manual_context, ADMIN, definition(name=name))
    first = crud.listing(manual_context, limit=3, page_token=None)
    second = crud.listing(manual_context, limit=3, page_token=first.next_page_token)
    assert [s.name for s in (*first.items, *second.items)] == names[::-1]
    assert second.next_page_token is None
    assert [s.name for s in crud.listing(manual_context, limit=9, page_token=None, name="study 2").items] == ["study 2"]


def test_a_preview_creates_nothing(manual_context: Context) -> None:
    shown = preview.preview(manual_context, grid())
    assert (shown.valid, shown.grid_size, shown.max_trials, len(shown.sample)) == (True, 12, 12, 10)
    assert shown.estimated_device_seconds is not None
    # 4-8-3 with biases, and 4-8-8-3.
    assert (shown.min_weights, shown.max_weights) == (67, 139)
    assert crud.listing(manual_context, limit=10, page_token=None).items == ()


def test_a_preview_warns_of_what_is_odd(manual_context: Context) -> None:
    few = definition(space={"layers": {"values": [1, 2]}, "momentum": 0.9}, budget={"max_trials": 9})
    fields = {warning.field for warning in preview.validate(manual_context, few).warnings}
    assert fields == {"budget.max_trials", "space.momentum"}


def test_a_study_without_workers_says_so_after_a_minute(manual_context: Context, manual_clock: ManualClock) -> None:
    study = crud.create(manual_context, ADMIN, definition())
    assert study.note_to_user is None
    manual_clock.advance(60)
    assert "hpsearch worker" in str(crud.get(manual_context, study.study_id).note_to_user)
