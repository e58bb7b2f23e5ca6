"""Every task by every algorithm with real Keras, ending in a model that scores in a clean process what was reported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpsearch.client import Client
from hpsearch.data.split import split_rows
from hpsearch.data.table import read_table
from hpsearch.domain.dataset import ColumnKind
from hpsearch.domain.study import StudyDefinition
from hpsearch.wire.pages import StudyView
from tests.e2e.scorer import Scorer, scorer
from tests.e2e.stack import Stack, stack, wait_for_end

EXAMPLES = Path(__file__).parents[2] / "examples"
GRID = {"layers": {"values": [0, 1]}, "units": 8, "learning_rate": {"values": [0.003, 0.02]}}
RANGES = {
    "layers": {"type": "int", "low": 1, "high": 2},
    "units": {"type": "int", "low": 4, "high": 16, "log": True, "per_layer": True},
    "learning_rate": {"type": "float", "low": 0.003, "high": 0.03, "log": True},
    "optimizer": {"type": "categorical", "choices": ["adam", "nesterov"]},
    "momentum": {"type": "float", "low": 0.8, "high": 0.95, "when": {"optimizer": ["nesterov"]}},
}
# What a straight line reaches on these data with room to spare; far from chance.
FLOORS = {"breast_cancer": 0.93, "diabetes": 4500.0, "mixed": 0.7}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    with scorer(tmp_path_factory.mktemp("scorer")) as one:
        yield one


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Client]]:
    with stack(tmp_path_factory.mktemp("kinds") / "data") as one:
        url = one.serve()
        one.work(url, "--trainers", "2")
        with one.client(url) as client:
            yield one, client


def _dataset(client: Client, name: str) -> dict[str, str]:
    if name != "mixed":
        return {"builtin": name}
    return {"id": client.datasets.upload(EXAMPLES / "mixed.csv", name="mixed", target="cancelled").dataset_id}


def _run(client: Client, name: str, kind: str) -> StudyView:
    plan: dict[str, Any] = {
        "name": f"{name}-{kind}",
        "dataset": _dataset(client, name),
        "space": GRID if kind == "grid" else RANGES,
        "algorithm": {"kind": kind, "seed": 0},
        "budget": {} if kind == "grid" else {"max_trials": 4},
        "training": {"max_epochs": 15, "early_stopping": {"patience": 4}},
        "baselines": False,
        "refit": "off" if kind == "grid" else "auto",
    }
    study = client.studies.create(StudyDefinition.model_validate(plan))
    return wait_for_end(client, study.study_id, timeout_s=150)


def _judged(client: Client, study: StudyView, folder: Path, *, by_test: bool) -> tuple[dict[str, Any], Any, Any]:
    """Raw test or validation rows as JSON, their targets, and the profile."""
    dataset_id = study.resolved.dataset_id
    content = folder / "content.parquet"
    client.datasets.download(dataset_id, content)
    profile = client.datasets.profile(dataset_id)
    table = read_table(content, profile, study.resolved.dataset_digest)
    split = split_rows(table, study.resolved.task, study.definition.split)
    rows = split.test if by_test else split.folds[0].validation
    if any(column.kind is ColumnKind.CATEGORICAL for column in profile.columns):
        columns = {}
        for column in profile.columns:
            values = table.columns[column.name][rows]
            columns[column.name] = [[("" if v is None else v) if column.categories else float(v)] for v in values]
        return {"columns": columns}, table.target[rows], profile
    matrix = np.column_stack([table.columns[column.name][rows] for column in profile.columns])
    return {"matrix": matrix.tolist()}, table.target[rows], profile


@pytest.mark.parametrize("kind", ["grid", "random", "bayesian"])
@pytest.mark.parametrize("name", ["breast_cancer", "diabetes", "mixed"])
def test_a_study_ends_with_a_model_that_scores_what_it_says(
    running: tuple[Stack, Client], clean: Scorer, tmp_path: Path, name: str, kind: str
) -> None:
    _, client = running
    study = _run(client, name, kind)
    by_test = kind != "grid"
    assert (study.state, study.n_trials, study.counts["COMPLETE"]) == ("COMPLETED", 4, 4 + by_test)
    assert study.best is not None
    assert study.final is not None
    assert (study.final.believe, study.final.chosen_at) == ("test" if by_test else "chosen_at", study.best.value)
    model = tmp_path / "best.keras"
    client.studies.download_model(study.study_id, model)
    rows, target, _ = _judged(client, study, tmp_path, by_test=by_test)
    predicted = clean.predictions(model, rows, tmp_path)
    if study.resolved.task == "regression":
        score = float(np.mean((predicted[:, 0] - target) ** 2))
        assert study.best.value < FLOORS[name]
    else:
        score = float(np.mean((predicted[:, 0] > 0.5) == target))
        assert study.best.value > FLOORS[name]
    assert score == pytest.approx(study.final.value, rel=1e-5, abs=1e-5)
    assert len(target) == (study.final.n_test if by_test else study.final.n_validation)
    board = client.studies.leaderboard(study.study_id)
    curve = list(client.trials.all_measurements(board.items[0].trial_id))
    assert [m.epoch for m in curve] == list(range(1, len(curve) + 1))
    assert study.resolved.metric in curve[0].metrics
