"""A study in a program's hands: made from a frame, waited for, looked at, its model used."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import hpsearch
from hpsearch import Client, Study
from hpsearch.errors import ConflictError, InvalidDatasetError, InvalidInputError, NotFoundError
from tests.e2e.stack import stack
from tests.interactive.conftest import SPACE


def test_a_study_is_found_by_name_and_by_id(client: Client, ended: Study):
    for wanted in (ended.name, ended.study_id, ended):
        assert client.study(wanted).study_id == ended.study_id
        assert client.studies.get(wanted).study_id == ended.study_id
    assert client.studies.history(ended.name)
    assert client.trials.get(f"{ended.name}#0").number == 0
    with pytest.raises(NotFoundError, match="there is no study 'nb'; the latest are"):
        client.study("nb")


def test_it_waits_for_the_end(ended: Study):
    assert (ended.state, ended.view.n_trials) == ("COMPLETED", 10)
    assert ended.final is not None
    assert (ended.final.kind, ended.final.believe) == ("refit", "test")
    assert ended.model().card.trial_id == ended.final.trial_id
    assert ended.wait(progress=False) is ended


def test_the_board_becomes_data_frames(ended: Study):
    board = ended.leaderboard()
    assert (board.metric, board.direction, len(board)) == ("accuracy", "maximize", 12)
    wide = board.to_pandas()
    assert list(wide["rank"]) == list(range(1, 13))
    assert {"value", "layers", "units_1", "learning_rate", "metrics_loss", "trial_id"} <= set(wide)
    assert board.to_polars()["value"].to_list() == wide["value"].to_list() == [row.value for row in board]
    assert len(ended.leaderboard(limit=3)) == 3
    assert ended.best.params == board[0].params
    trials = ended.trials(kind="search").to_pandas()
    assert list(trials["state"]) == ["COMPLETE"] * 10
    assert ended.trials(state="FAILED").to_polars().is_empty()


@pytest.mark.parametrize("form", ["pandas", "polars", "matrix", "columns"])
def test_the_model_takes_the_rows_it_was_trained_on(ended: Study, frame: pd.DataFrame, form: str):
    rows = frame.drop(columns="label")
    model = _model(ended)
    given = {
        "pandas": rows,
        "polars": pl.DataFrame(
            {name: rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in rows}
        ),
        "matrix": rows.to_numpy(),
        "columns": {name: rows[name].to_numpy() for name in rows},
    }[form]
    predicted = model.predict(given)
    assert set(predicted) <= {"leaves", "stays"}
    chances = model.predict_proba(given)
    assert chances.shape == (len(rows), 2)
    assert np.allclose(chances.sum(axis=1), 1)
    assert (predicted == np.asarray(model.classes)[chances.argmax(axis=1)]).all()
    assert np.array_equal(chances, _expected(ended, frame))


_MODELS: dict[str, hpsearch.Model] = {}


def _model(study: Study) -> hpsearch.Model:
    return _MODELS.setdefault(study.study_id, study.best.model())


def _expected(study: Study, frame: pd.DataFrame) -> np.ndarray:
    """What the bare Keras model says, asked as its card describes."""
    model = _model(study)
    raw = {}
    for column in model.card.columns:
        values = frame[column.name].astype(object)
        if column.kind == "categorical":
            raw[column.input] = values.where(values.notna(), "").to_numpy(dtype=object).reshape(-1, 1)
        else:
            raw[column.input] = values.to_numpy(dtype=np.float32).reshape(-1, 1)
    second = np.asarray(model.keras(raw)).astype(np.float64)
    return np.concatenate([1 - second, second], axis=1)


def test_a_model_file_needs_no_server(ended: Study, frame: pd.DataFrame, folder: Path):
    path = ended.download("nb.keras")
    assert path == Path("nb.keras")
    model = hpsearch.load("nb.keras")
    assert model.columns == ("age", "city", "visits", "plan")
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own
    assert list(again.predict(frame)) == list(ended.model().predict(frame))
    assert model.save("copy.keras").read_bytes() == path.read_bytes()


def test_rows_that_do_not_fit_a_model_are_told(ended: Study, frame: pd.DataFrame):
    model = _model(ended)
    with pytest.raises(InvalidDatasetError, match="lack 1 of the 4 columns the model reads: city"):
        model.predict(frame.drop(columns="city"))
    with pytest.raises(InvalidInputError, match="must be of 4 columns, not 2"):
        model.predict(np.zeros((3, 2)))
    with pytest.raises(InvalidInputError, match="rows must be a pandas or polars data frame"):
        model.predict("new_rows.csv")


@pytest.mark.parametrize("kind", ["history", "curves", "importances", "parallel", "slice"])
def test_plots_show_every_result(ended: Study, kind: str):
    figure = getattr(ended.plot, kind)()
    shown = figure.to_dict()
    n_points = {"history": 12, "curves": 3, "importances": len(SPACE) + 1}.get(kind)
    if kind == "parallel":
        assert [len(axis["values"]) for axis in shown["data"][0]["dimensions"]] == [
            len(figure.data[0].dimensions[0].values)
        ] * 6
    elif kind == "slice":
        assert [trace["name"] for trace in shown["data"]] == [
            "layers",
            "units_1",
            "units_2",
            "activation",
            "learning_rate",
        ]
    else:
        assert len(shown["data"][0]["y"]) == n_points
    assert "<b>" not in figure.layout.title.text


def test_what_notebooks_show_is_escaped(ended: Study):
    for shown in (ended, ended.leaderboard(), ended.trials(), _model(ended)):
        markup = shown._repr_html_()
        assert "customers &lt;b&gt;&amp;&lt;/b&gt;" in markup
        assert "<b>&</b>" not in markup
    assert "10 of 10 trials, completed (max_trials)" in repr(ended)
    assert "accuracy" in repr(ended.leaderboard())


def test_a_study_is_steered(client: Client):
    study = client.create(name="steered", data="iris", space=SPACE, budget={"max_trials": 5000}, baselines=False)
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.1 s; it goes on"):
        study.wait(progress=False, timeout=0.1)
    assert study.pause().state == "PAUSED"
    point = {"layers": 1, "units_1": 8, "activation": "relu", "learning_rate": 0.01}
    assert study.enqueue(point).params == point
    assert study.resume().state == "RUNNING"
    assert study.extend(6000).view.budget.max_trials == 6000
    assert study.cancel().wait(progress=False).state == "CANCELLED"
    with pytest.raises(ConflictError):
        study.pause()
    study.delete()
    with pytest.raises(NotFoundError):
        study.refresh()


def test_waiting_survives_a_server_that_comes_back_at_another_address(tmp_path: Path):
    with stack(tmp_path) as one:
        first = one.serve()
        with Client(data_dir=tmp_path) as client:
            study = client.create(name="empty", data="iris", space=SPACE, baselines=False)
            with pytest.raises(NotFoundError, match="study 'empty' has no result yet"):
                _ = study.best
            with pytest.raises(NotFoundError, match="no result to plot yet"):
                study.plot.history()
            one.kill_server()
            with ThreadPoolExecutor() as pool:
                waits = pool.submit(study.wait, progress=False, timeout=60)
                second = one.serve()
                with one.client(second) as other:
                    other.studies.cancel(study.study_id)
                assert waits.result().state == "CANCELLED"
            assert client.url == second != first
