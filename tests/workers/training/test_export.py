"""Model files: what they hold, and that anyone with Keras alone gets the reported score out of them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as reference

from hpsearch.data.split import split_rows
from hpsearch.data.table import read_table
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.study import Split
from hpsearch.model_card import read_card
from tests.workers.training.memory import Builtin, Memory, Run, Store, Stored

PARAMS = {
    "layers": 2,
    "units": 16,
    "learning_rate": 0.01,
    "batch_size": 16,
    "dropout": 0.2,
    "input_dropout": 0.1,
    "batch_norm": True,
    "weight_decay": 0.001,
    "optimizer": "adam",
}

# What somebody does who has the file and Keras, and has never heard of us.
STRANGER = """
import json, sys, zipfile
import numpy as np
import keras
model = keras.models.load_model(sys.argv[1])
card = json.loads(zipfile.ZipFile(sys.argv[1]).read("hpsearch.json"))
rows = json.load(open(sys.argv[2]))
if card["form"] == "matrix":
    raw = np.array([[np.nan if v is None else v for v in rows[c["name"]]] for c in card["columns"]], "float32").T
    ours = model.predict(raw, verbose=0)
else:
    raw = {}
    for c in card["columns"]:
        if c["kind"] == "categorical":
            raw[c["input"]] = np.array([[v or ""] for v in rows[c["name"]]])
        else:
            raw[c["input"]] = np.array([[np.nan if v is None else v] for v in rows[c["name"]]], "float32")
    ours = np.asarray(model(raw))
assert not any(name.startswith("hpsearch") or name.startswith("workers") for name in sys.modules)
json.dump(ours.tolist(), open(sys.argv[3], "w"))
"""


def by_a_stranger(model: Path, data: Stored, rows: Any, tmp_path: Path) -> np.ndarray:
    """Return what the file says of some rows, in a clean process that imports Keras and numpy only."""
    table = read_table(data.content, data.profile, data.digest)
    columns = {
        name: [None if v is None or (isinstance(v, float) and isnan(v)) else v for v in values[rows].tolist()]
        for name, values in table.columns.items()
    }
    given, answer = tmp_path / "rows.json", tmp_path / "answer.json"
    given.write_text(json.dumps(columns))
    command = [sys.executable, "-I", "-W", "ignore", "-c", STRANGER, str(model), str(given), str(answer)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=150)
    assert done.returncode == 0, done.stderr[-2_000:]
    return np.array(json.loads(answer.read_text()))


def validation_rows(data: Stored, split: Split | None = None):
    table = read_table(data.content, data.profile, data.digest)
    return table, split_rows(table, data.profile.task, split or Split()).folds[0].validation


def test_a_model_of_a_matrix_scores_the_reported_value_in_a_clean_process(run: Run, builtin: Builtin, tmp_path: Path):
    data = builtin("digits")
    memory = run(data, PARAMS, metric="loss", epochs=4, model=True)
    table, rows = validation_rows(data)
    p = by_a_stranger(memory.models[0], data, rows, tmp_path)
    assert p.shape == (len(rows), 10)
    assert p.sum(axis=1) == pytest.approx(1.0)
    assert reference.log_loss(table.target[rows], p) == pytest.approx(memory.outcome.value, abs=1e-5)
    said = p.argmax(axis=1)
    assert reference.accuracy_score(table.target[rows], said) == pytest.approx(
        memory.outcome.metrics["accuracy"], abs=1e-5
    )
    evaluation = read_card(memory.models[0]).evaluation
    assert evaluation.n_rows == len(rows)
    assert np.array_equal(evaluation.confusion, reference.confusion_matrix(table.target[rows], said))


def test_a_model_of_mixed_columns_scores_the_reported_value_in_a_clean_process(run: Run, mixed: Stored, tmp_path: Path):
    """Early stopping, so that the best weights and not the last are in the file; awkward names, missing values."""
    params = {**PARAMS, "learning_rate": 0.1, "batch_size": 8}
    rule = {"patience": 4}
    memory = run(mixed, params, metric="loss", epochs=30, model=True, early_stopping=rule)
    assert memory.outcome.best_epoch < memory.outcome.epochs
    assert abs(memory.curve("loss")[-1] - memory.outcome.value) > 1e-3
    table, rows = validation_rows(mixed)
    p = by_a_stranger(memory.models[0], mixed, rows, tmp_path)
    assert p.shape == (len(rows), 1)
    assert reference.log_loss(table.target[rows], p[:, 0]) == pytest.approx(memory.outcome.value, abs=1e-5)
    confusion = reference.confusion_matrix(table.target[rows], p[:, 0] > 0.5)
    assert np.array_equal(read_card(memory.models[0]).evaluation.confusion, confusion)


def scored_here(memory: Memory, data: Stored, split: Split | None = None):
    """Return predictions of the file for the validation rows, and the truth, in this process."""
    import keras

    from workers.training.model_files.outputs import predict_raw

    table, rows = validation_rows(data, split)
    card = read_card(memory.models[0])
    model = keras.models.load_model(memory.models[0])
    if card.form == "matrix":
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and the file takes that
            raw = np.stack([table.columns[c.name][rows] for c in card.columns], axis=1).astype(np.float32)
    else:
        raw = {
            c.input: np.array([[v or ""] for v in table.columns[c.name][rows]], dtype=object)
            if c.kind == "categorical"
            else table.columns[c.name][rows].reshape(-1, 1).astype(np.float32)
            for c in card.columns
        }
    return predict_raw(model, raw), table.target[rows]


@pytest.mark.parametrize("metric", ["mse", "r2", "loss"])
def test_a_regression_model_answers_in_the_targets_unit(run: Run, builtin: Builtin, metric: str):
    data = builtin("diabetes")
    memory = run(data, PARAMS, metric=metric, epochs=4, model=True)
    predicted, truth = scored_here(memory, data)
    assert predicted.shape == (len(truth), 1)
    mse = reference.mean_squared_error(truth, predicted[:, 0])
    assert mse == pytest.approx(memory.outcome.metrics["mse"], rel=1e-5)
    assert reference.r2_score(truth, predicted[:, 0]) == pytest.approx(memory.outcome.metrics["r2"], abs=1e-5)


def test_a_large_target_keeps_its_decimals(run: Run, store: Store):
    random = np.random.default_rng(0)
    x = random.normal(size=(90, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": 3e8 + x[:, 0] - x[:, 1]})
    data = store(frame, target="y", task="regression")
    memory = run(data, {"layers": 0, "learning_rate": 0.1, "batch_size": 8}, epochs=10, model=True)
    assert memory.outcome.state == "COMPLETE", memory.outcome.detail
    predicted, truth = scored_here(memory, data)
    assert reference.mean_squared_error(truth, predicted[:, 0]) == pytest.approx(memory.outcome.value, rel=1e-5)
    assert memory.outcome.value < 0.5
    evaluation = read_card(memory.models[0]).evaluation
    assert evaluation.truth == pytest.approx(sorted(truth), rel=1e-6)
    assert np.mean(np.square(evaluation.errors)) == pytest.approx(memory.outcome.value, rel=1e-4)


def test_columns_that_float32_hardly_holds_are_trained_on_as_they_will_be_read(run: Run, store: Store):
    """A time stamp in seconds has a step of 128 in float32; and a huge value must not become infinite."""
    random = np.random.default_rng(0)
    stamp = 1.7e9 + random.integers(0, 2_000, 120).astype(float)
    huge = np.where(random.random(120) < 0.05, 1e300, random.normal(size=120))
    label = np.where(stamp > 1.7e9 + 1_000, "late", "early").tolist()
    data = store(pl.DataFrame({"stamp": stamp, "huge": huge, "label": label}), target="label")
    memory = run(data, {"layers": 0, "learning_rate": 0.2, "batch_size": 8}, metric="loss", epochs=10, model=True)
    p, truth = scored_here(memory, data)
    assert reference.log_loss(truth, p[:, 0]) == pytest.approx(memory.outcome.value, abs=1e-5)
    assert memory.outcome.metrics["accuracy"] > 0.8


def test_a_column_constant_in_training_becomes_nothing(run: Run, store: Store):
    random = np.random.default_rng(0)
    n = 60
    part = np.array(["train"] * 40 + ["validation"] * 20)
    blank = np.where(part == "train", 5.0, random.normal(0, 1e7, n))
    x = random.normal(size=n)
    frame = pl.DataFrame(
        {"x": x, "blank": blank, "flag": np.where(part == "train", 1.0, 0.0), "y": 2 * x, "part": part.tolist()}
    )
    data = store(frame, target="y", task="regression")
    split = Split(column="part", test=0.0)
    memory = run(
        data, {"layers": 0, "learning_rate": 0.1, "batch_size": 8}, metric="r2", epochs=15, split=split, model=True
    )
    assert memory.outcome.value > 0.9
    predicted, truth = scored_here(memory, data, split)
    assert reference.r2_score(truth, predicted[:, 0]) == pytest.approx(memory.outcome.value, abs=1e-5)
    assert [column.name for column in read_card(memory.models[0]).columns] == ["x", "blank", "flag"]


def test_the_graph_prepares_rows_exactly_as_training_does(mixed: Stored):
    import keras

    from hpsearch.data.prepare import fit_preparation
    from workers.training.engine.rows import as_float32
    from workers.training.model_files.raw_inputs import RawForm

    table = as_float32(read_table(mixed.content, mixed.profile, mixed.digest))
    some, rest = np.arange(0, 150), np.arange(150, 300)
    preparation = fit_preparation(table, "binary", some)
    form = RawForm.of(preparation.columns, ["mlp_output"])
    graph = keras.Model(*form.build("float32"))
    strange = dict(table.columns)
    strange["colour"] = np.array(["never seen", None, *table.columns["colour"][2:]], dtype=object)
    for values in (table.columns, strange):
        for rows in (some, rest):
            ours = graph(form.rows({name: column[rows] for name, column in values.items()})).numpy()
            expected = preparation.inputs(replace(table, columns=values), rows)
            np.testing.assert_array_equal(ours, expected)
    assert ours.shape[1] == preparation.n_inputs


@pytest.mark.parametrize("indicators", [False, True])
def test_missing_numbers_and_unknown_texts_are_filled_in_the_graph(indicators: bool):
    import keras

    from hpsearch.data.column_plan import ColumnPlan
    from hpsearch.domain.dataset import ColumnKind
    from workers.training.model_files.raw_inputs import RawForm

    columns = (
        ColumnPlan("c", ColumnKind.CATEGORICAL, 0.0, 1.0, "b", indicators, ("a", "b")),
        ColumnPlan("x", ColumnKind.REAL, 10.0, 2.0, 10.0, indicators),
        ColumnPlan("none", ColumnKind.CATEGORICAL, 0.0, 1.0, None, indicators, ()),
        ColumnPlan("t", ColumnKind.BINARY, 0.0, 1.0, 1.0, indicators),
    )
    form = RawForm.of(columns, [])
    graph = keras.Model(*form.build("float32"))
    texts = np.array(["a", "b", "other", None], dtype=object)
    numbers = np.array([14.0, np.nan, np.inf, -np.inf])
    got = graph(form.rows({"c": texts, "x": numbers, "none": texts, "t": np.array([0.0, 1.0, np.nan, 0.0])})).numpy()
    largest = np.finfo(np.float32).max
    plain = np.array(
        [
            # a, b, unknown, x, unknown, t
            [1, 0, 0, 2, 1, 0],
            [0, 1, 0, 0, 1, 1],
            [0, 0, 1, largest / 2, 1, 1],
            [0, 1, 0, -largest / 2, 1, 0],
        ]
    )
    if indicators:
        missing = {3: [0, 0, 0, 1], 4: [0, 1, 0, 0], 5: [0, 0, 0, 1], 6: [0, 0, 1, 0]}
        plain = np.insert(plain, [3, 4, 5, 6], np.array(list(missing.values())).T, axis=1)
    np.testing.assert_allclose(got, plain, rtol=1e-6)


def test_the_card_says_what_the_file_is(run: Run, mixed: Stored):
    memory = run(mixed, PARAMS, epochs=2, model=True, seed=17)
    card = read_card(memory.models[0])
    assert (card.task, card.target, card.classes) == ("binary", "label", ("no", "yes"))
    assert (card.metric, card.direction, card.value) == ("accuracy", "maximize", memory.outcome.value)
    assert card.metrics == memory.outcome.metrics
    assert (card.params, card.seed, card.best_epoch) == (PARAMS, 17, memory.outcome.best_epoch)
    assert (card.dataset_digest, card.trial_kind, card.form) == (mixed.digest, "search", "columns")
    assert [column.name for column in card.columns] == [column.name for column in mixed.profile.columns]
    inputs = {column.name: column.input for column in card.columns}
    assert inputs["size"] == "size"
    # Keras takes no slash in a name, and our own layers keep theirs.
    assert len(set(inputs.values())) == len(inputs)
    assert "/" not in inputs["member/guest"]
    assert inputs["mlp_output"] != "mlp_output"
    assert card.n_training_rows == 180


def test_the_file_holds_built_in_layers_only_and_no_dropout(run: Run, mixed: Stored):
    memory = run(mixed, PARAMS, epochs=1, model=True)
    with zipfile.ZipFile(memory.models[0]) as archive:
        config = json.loads(archive.read("config.json"))
        assert archive.testzip() is None
    assert "hpsearch" not in {part.partition(".")[0] for part in modules_of(config)}
    assert {part.partition(".")[0] for part in modules_of(config)} == {"keras"}
    assert not [layer for layer in config["config"]["layers"] if layer["class_name"] in ("Dropout", "Lambda")]


def modules_of(config: MlpConfig):
    if isinstance(config, dict):
        own = [config["module"]] if config.get("module") else []
        return own + [module for value in config.values() for module in modules_of(value)]
    return [module for value in config for module in modules_of(value)] if isinstance(config, list) else []


def test_a_file_that_predicts_otherwise_fails_the_trial_and_is_not_left(
    run: Run, builtin: Builtin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import workers.training.model_files.export as module

    raw_model = module.raw_model

    def broken(network: Any, preparation: Any, task: Any, form: Any) -> Any:
        kernel = network.get_layer("mlp_output").kernel
        before = kernel.numpy()
        kernel.assign(-before)
        model = raw_model(network, preparation, task, form)
        model.save(tmp_path / "wrong.keras")
        kernel.assign(before)
        import keras

        return keras.models.load_model(tmp_path / "wrong.keras")

    monkeypatch.setattr(module, "raw_model", broken)
    memory = run(builtin("iris"), PARAMS, epochs=2, model=True)
    assert (memory.outcome.state, memory.outcome.cause) == ("FAILED", "training_error")
    assert "predicts otherwise than the trained network" in memory.outcome.detail
    assert memory.models == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.keras"]


def test_a_rank_that_only_rounding_decides_is_reported_as_the_file_scores_it(
    run: Run, builtin: Builtin, monkeypatch: pytest.MonkeyPatch
):
    """The file agrees with the network but for the last digits, and one row changes sides."""
    from workers.training.model_files.outputs import predict_raw

    scored: list[np.ndarray] = []

    def nudged(model: Any, raw: Any) -> np.ndarray:
        p = predict_raw(model, raw)
        best = p.max(axis=1) - np.sort(p, axis=1)[:, -2]
        row = best.argmin()
        order = p[row].argsort()
        p[row, order[-2]], p[row, order[-1]] = p[row, order[-1]], p[row, order[-2]]
        scored.append(p)
        return p

    monkeypatch.setattr("workers.training.model_files.export.predict_raw", nudged)
    monkeypatch.setattr("workers.training.model_files.export.MAX_DIFFERENCE", 1.0)
    memory = run(builtin("iris"), {**PARAMS, "learning_rate": 1e-4}, metric="accuracy", epochs=2, model=True)
    table, rows = validation_rows(builtin("iris"))
    accuracy = reference.accuracy_score(table.target[rows], scored[0].argmax(axis=1))
    assert memory.outcome.value == pytest.approx(accuracy)
    assert memory.outcome.metrics["accuracy"] == memory.outcome.value == read_card(memory.models[0]).value


def test_a_disk_that_fills_while_writing_gives_the_trial_back(
    run: Run, builtin: Builtin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import workers.training.model_files.export as module

    def full(path: Path, card: Any) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(module, "write_card", full)
    memory = run(builtin("iris"), PARAMS, epochs=1, model=True)
    assert (memory.outcome.state, memory.outcome.cause) == ("RELEASED", "disk_full")
    assert list(tmp_path.iterdir()) == []
