from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from hpsearch.errors import InvalidInputError
from hpsearch.model_card import CARD_MEMBER, read_card
from tests.workers.training.memory import Memory, Run, Store, Stored
from workers.training.model_files.predict import predict, predict_file

PARAMS = {"layers": 1, "units": 8, "learning_rate": 0.02, "batch_size": 16}


@pytest.fixture(scope="module")
def model(engine: Any, mixed: Stored, tmp_path_factory: pytest.TempPathFactory):
    from hpsearch.domain.lifecycle import TrialKind
    from hpsearch.domain.study import Split
    from hpsearch.domain.training import Training
    from hpsearch.wire.claims import ClaimedTrial, StudyBrief
    from workers.training.engine.task import TrialTask

    trial = ClaimedTrial(trial_id="t", study_id="s", number=0, kind=TrialKind.SEARCH, attempt=1, params=PARAMS, seed=3)
    brief = StudyBrief(
        study_id="s",
        name="s",
        dataset_id="d",
        dataset_digest=mixed.digest,
        task="binary",
        split=Split(),
        metric="accuracy",
        direction="maximize",
        training=Training(max_epochs=12),
        data_order_seed=0,
    )
    memory = Memory()
    path = tmp_path_factory.mktemp("model") / "m.keras"
    engine.train([TrialTask(trial, brief, mixed.content, mixed.profile, path)], memory)
    assert memory.models == [path]
    return path


def test_it_predicts_labels_with_probabilities_row_by_row(model: Path, mixed_frame: pl.DataFrame):
    predictions = predict(model, mixed_frame)
    assert len(predictions) == mixed_frame.height
    right = [p.value == label for p, label in zip(predictions, mixed_frame["label"], strict=True)]
    assert np.mean(right) > 0.85
    for p in predictions:
        assert set(p.probabilities) == {"no", "yes"}
        assert sum(p.probabilities.values()) == pytest.approx(1.0)
        assert p.probabilities[p.value] == max(p.probabilities.values())


def test_order_of_columns_and_further_columns_do_not_matter(model: Path, mixed_frame: pl.DataFrame):
    turned = mixed_frame.select(reversed(mixed_frame.columns)).with_columns(pl.lit("?").alias("more")).drop("label")
    assert predict(model, turned) == predict(model, mixed_frame)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_of_each_kind_give_the_same_predictions(
    model: Path, mixed_frame: pl.DataFrame, tmp_path: Path, kind: str
):
    rows = mixed_frame.head(40).drop("label")
    path = tmp_path / f"rows.{kind}"
    rows.write_csv(path) if kind == "csv" else rows.write_parquet(path)
    assert predict_file(model, path) == predict(model, rows)


def test_a_matrix_of_numpy_is_read_with_and_without_a_target(run: Run, store: Store, tmp_path: Path):
    random = np.random.default_rng(2)
    matrix = random.normal(size=(60, 2))
    goal = matrix[:, 0] > matrix[:, 1]
    frame = pl.DataFrame({"x0": matrix[:, 0], "x1": matrix[:, 1], "y": goal.astype(int)})
    memory = run(store(frame, target="y"), {"layers": 0, "learning_rate": 0.1, "batch_size": 8}, epochs=10, model=True)
    path = tmp_path / "rows.npz"
    answers = []
    for more in ({}, {"y": goal.astype(int)}):
        np.savez(path, X=matrix, **more)
        answers.append(predict_file(memory.models[0], path))
    assert answers[0] == answers[1]
    assert np.mean([p.value == str(int(label)) for p, label in zip(answers[0], goal, strict=True)]) > 0.9


def test_one_row_and_missing_cells_are_enough(model: Path, mixed_frame: pl.DataFrame):
    row = mixed_frame.head(1).with_columns(pl.lit(None, dtype=pl.Float64).alias("size"), pl.lit(None).alias("colour"))
    (prediction,) = predict(model, row)
    assert prediction.value in {"no", "yes"}


def test_a_missing_number_is_not_a_zero(model: Path, mixed_frame: pl.DataFrame):
    rows = mixed_frame.head(1)
    (null,), (nan,), (zero,) = (
        predict(model, rows.with_columns(pl.lit(value, dtype=pl.Float64).alias("size")))
        for value in (None, float("nan"), 0.0)
    )
    assert null == nan != zero


def test_numbers_written_as_texts_are_read_as_numbers(model: Path, mixed_frame: pl.DataFrame):
    rows = mixed_frame.head(20)
    texts = rows.with_columns(pl.col("size").cast(pl.String), pl.col("constant").cast(pl.String))
    assert predict(model, texts) == predict(model, rows)


def test_missing_columns_are_named(model: Path, mixed_frame: pl.DataFrame):
    with pytest.raises(InvalidInputError) as caught:
        predict(model, mixed_frame.drop("size", "colour"))
    assert "2 of the 6 columns" in caught.value.message
    assert "size, colour" in caught.value.message


def test_a_text_in_a_numeric_column_is_named(model: Path, mixed_frame: pl.DataFrame):
    rows = mixed_frame.head(3).with_columns(pl.Series("size", ["1.5", "wide", None]))
    with pytest.raises(InvalidInputError, match="row 2 of column 'size' holds 'wide'"):
        predict(model, rows)


def test_regression_predicts_numbers(run: Run, linear: Stored):
    memory = run(linear, {"layers": 0, "learning_rate": 0.1, "batch_size": 16}, epochs=15, model=True)
    frame = pl.read_parquet(linear.content)
    predictions = predict(memory.models[0], frame)
    assert all(p.probabilities is None for p in predictions)
    assert np.corrcoef([p.value for p in predictions], frame["y"])[0, 1] > 0.99


def test_a_file_without_a_card_is_refused(tmp_path: Path, model: Path):
    bare = tmp_path / "bare.keras"
    with zipfile.ZipFile(model) as source, zipfile.ZipFile(bare, "w") as target:
        for name in source.namelist():
            if name != CARD_MEMBER:
                target.writestr(name, source.read(name))
    with pytest.raises(InvalidInputError, match="holds no card"):
        read_card(bare)


def test_what_is_no_model_is_refused_in_one_sentence(tmp_path: Path, model: Path):
    text = tmp_path / "text.keras"
    text.write_text("hello")
    with pytest.raises(InvalidInputError, match="can not be opened"):
        read_card(text)
    with pytest.raises(InvalidInputError, match="there is no model file"):
        read_card(tmp_path / "gone.keras")
    for content, sentence in (
        (b"not json", "damaged"),
        (b"[]", "damaged"),
        (b'{"version": 1}', "damaged"),
        (b'{"version": 99}', "version 99"),
    ):
        path = tmp_path / "card.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(CARD_MEMBER, content)
        with pytest.raises(InvalidInputError, match=sentence):
            read_card(path)


def test_a_model_whose_network_is_damaged_is_refused_in_one_sentence(
    tmp_path: Path, model: Path, mixed_frame: pl.DataFrame
):
    path = tmp_path / "damaged.keras"
    with zipfile.ZipFile(model) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, json.dumps({}) if name == "config.json" else source.read(name))
    with pytest.raises(InvalidInputError, match="can not be loaded by Keras"):
        predict(path, mixed_frame)


def test_a_card_of_a_newer_minor_release_is_still_read(tmp_path: Path, model: Path):
    path = tmp_path / "newer.keras"
    with zipfile.ZipFile(model) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == CARD_MEMBER:
                content = json.dumps(json.loads(content) | {"a_later_field": 1}).encode()
            target.writestr(name, content)
    assert read_card(path) == read_card(model)
