"""The board: any order and any filter, and each row with its rank among all results."""

from __future__ import annotations

import pytest

from benchmarks.filling import make_history, new_study
from hpsearch.domain.space import Space
from hpsearch.errors import InvalidInputError
from hpsearch.service.context import Context
from hpsearch.service.results import trials
from hpsearch.service.results.board import BoardView, board
from hpsearch.service.results.trial_filter import conditions_of

_SPACE = {
    "units": {"type": "int", "low": 1, "high": 64},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
    "init": {"type": "categorical", "choices": ["auto", "he_normal"]},
    "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
    "batch_norm": {"type": "categorical", "choices": [True, False]},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "steps": 3},
}
_N = 60


@pytest.fixture
def study_id(context: Context) -> str:
    """A study of `_N` results, and some trials that wait."""
    found = new_study(context, space=_SPACE, parallelism=4)
    make_history(context, found, _N, n_epochs=1)
    return found


def test_every_filter_leaves_what_python_would(context: Context, study_id: str) -> None:
    ranked = trials.leaderboard(context, study_id, limit=_N).items
    middle = ranked[_N // 2].value
    rate = f"{ranked[0].params['learning_rate']:.4g}"
    for where, holds in (
        ("units >= 32", lambda row: row.params["units"] >= 32),
        ("units<32, units > 5", lambda row: 5 < row.params["units"] < 32),
        ("units = 3..10|40..64", lambda row: 3 <= row.params["units"] <= 10 or row.params["units"] >= 40),
        ("units = ..10", lambda row: row.params["units"] <= 10),
        ("activation = relu", lambda row: row.params["activation"] == "relu"),
        ("batch_norm = true, units>1", lambda row: row.params["batch_norm"] and row.params["units"] > 1),
        ("activation != relu", lambda row: row.params["activation"] != "relu"),
        ("batch_norm != true", lambda row: not row.params["batch_norm"]),
        ("tanh", lambda row: row.params["activation"] == "tanh"),
        ("init = auto|he_normal, dropout = 0.25", lambda row: row.params["dropout"] == 0.25),
        (f"accuracy >= {middle!r}", lambda row: row.value >= middle),
        (f"learning_rate = {rate}", lambda row: f"{row.params['learning_rate']:.4g}" == rate),
        (f"#{ranked[7].number}", lambda row: row.number == ranked[7].number),
        ("epochs = 1, weights > 0", lambda row: row.epochs == 1),
        ("units > 1e300", lambda row: row.params["units"] > 1e300),
    ):  # fmt: skip
        expected = [(row.rank, row.trial_id) for row in ranked if holds(row)]
        found = board(context, study_id, BoardView(where=where), limit=_N)
        assert [(one.rank, one.trial.trial_id) for one in found.items] == expected, where
        assert (found.n_shown, found.n_all, found.next_page_token) == (len(expected), _N, None), where


def test_pages_of_a_filter_follow_one_another(context: Context, study_id: str) -> None:
    for view in (BoardView(where="units >= 8"), BoardView(sort="param.units", where="units >= 8")):
        whole = board(context, study_id, view, limit=_N).items
        pages, token = [], None
        while token is not None or not pages:
            page = board(context, study_id, view, limit=7, page_token=token)
            pages.append(page.items)
            token = page.next_page_token
        assert [one for items in pages for one in items] == list(whole)
        assert len(pages) == -(-len(whole) // 7)


def test_ranks_stand_in_every_order(context: Context, study_id: str) -> None:
    ranks = {row.trial_id: row.rank for row in trials.leaderboard(context, study_id, limit=_N).items}
    for sort in ("rank", "param.units", "value", "number", "device_seconds"):
        for view in (BoardView(sort=sort), BoardView(sort=sort, state=None, kinds=())):
            found = board(context, study_id, view, limit=2 * _N).items
            assert {one.trial.trial_id: one.rank for one in found if one.rank} == ranks, sort
            waiting = [one for one in found if one.trial.state == "WAITING"]
            assert bool(waiting) == (view.state is None)
            assert all(one.rank is None for one in waiting)
    everything = board(context, study_id, BoardView(state=None, kinds=()), limit=2 * _N).items
    assert [one.rank for one in everything if one.rank] == list(range(1, _N + 1)), "and what has none comes last"


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("lr > 3", "'lr' is not a column of this board; known are units, activation"),
        ("units > many", "expected a number, received 'many'"),
        ("units > nan", "expected a number"),
        ("units =", "values separated by |"),
        ("activation < relu", "has no order"),
        ("activation = swoosh", "known are relu, tanh"),
        ("batch_norm = yes", "known are false, true"),
        ("swoosh", "is no comparison"),
        ("1," * 33, "33 conditions"),
        ("x" * 2000, "2000 characters"),
    ],
)
def test_a_filter_that_can_not_be_says_why(where: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        conditions_of(where, Space.model_validate(_SPACE).flat(), "accuracy")
    assert refused.value.code == "filter.invalid"
    assert complaint in refused.value.message
