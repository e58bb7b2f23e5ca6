from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hpsearch.errors import InvalidStudyError
from hpsearch.studyfile.reader import load_study

GOOD = {
    "name": "s",
    "dataset": {"builtin": "digits"},
    "space": {"layers": {"type": "int", "low": 1, "high": 2}},
}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(tmp_path: Path, **changes: object) -> str:
    path = write(tmp_path, yaml.safe_dump(GOOD | changes, sort_keys=False))
    with pytest.raises(InvalidStudyError) as caught:
        load_study(path)
    return caught.value.message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 2024}, "name must be text, received 2024; write it in quotes"),
        ({"tsk": "binary"}, "tsk is not a known field; did you mean task?"),
        ({"dataset": {"builtin": "digit"}}, "unknown builtin data set 'digit'; known are digits"),
        ({"dataset": {"url": "http://x"}}, "dataset.url is not a known field"),
        (
            {"space": {"layers": {"type": "integer", "low": 1}}},
            "space.layers.type must be one of int, float, categorical",
        ),
        ({"space": {"layers": {"low": 1, "high": 2}}}, "space.layers needs a type: one of int, float"),
        (
            {"space": {"units": {"type": "int", "low": 600, "high": 512}}},
            "space.units: low must not exceed high, received low 600 and high 512",
        ),
        (
            {"space": {"dropout": {"type": "float", "low": 0.0, "high": "0.6"}}},
            "space.dropout.high must be a number, received '0.6'; remove the quotes",
        ),
        (
            {"space": {"dropout": {"type": "float", "low": 0.0, "high": 0.5, "hihg": 1}}},
            "space.dropout.hihg is not a known field; did you mean high?",
        ),
        ({"space": {"momentum": {"values": []}}}, "space.momentum needs at least 1 item"),
        (
            {"space": {"layers": {"type": "int", "low": 1.5, "high": 2}}},
            "space.layers.low must be a whole number, received 1.5",
        ),
        ({"algorithm": {"kind": "bayes"}}, "algorithm.kind must be 'grid', 'random' or 'bayesian', received 'bayes'"),
        ({"budget": {"max_trials": 0}}, "budget.max_trials must be greater than or equal to 1, received 0"),
        ({"training": 7}, "training must be a mapping of fields, received 7"),
        ({"parallelism": "many"}, "parallelism must be 'auto' or must be a whole number, received 'many'"),
        ({"split": {"validation": float("nan")}}, "split.validation must be a finite number"),
        ({"split": {"folds": 1}}, "split.folds must be greater than or equal to 2, received 1"),
        ({"training": {"early_stopping": {"patienc": 3}}}, "did you mean patience?"),
        ({"objective": {}}, "objective.metric is missing"),
        ({"baselines": "no"}, "baselines must be true or false, received 'no'"),
        ({"space": {"foo": 3}}, "space: unknown parameter 'foo'; known are"),
        ({"space": {"lerning_rate": 0.1}}, "unknown parameter 'lerning_rate'; did you mean 'learning_rate'? known are"),
        (
            {"space": {"units": {"type": "int", "low": 8, "high": 64, "lgo": True}}},
            "space.units.lgo is not a known field; did you mean log? known here are",
        ),
    ],
)
def test_each_complaint_names_line_field_and_value(tmp_path: Path, changes: dict[str, object], said: str):
    message = refusal(tmp_path, **changes)
    assert said in message
    assert message.startswith(f"{tmp_path / 's.yaml'}, line ")
    assert "\n" not in message
    assert "pydantic" not in message


def test_missing_fields_are_all_named(tmp_path: Path):
    path = write(tmp_path, "name: x\n")
    with pytest.raises(InvalidStudyError) as caught:
        load_study(path)
    assert [line.split(": ", 1)[1] for line in caught.value.message.splitlines()] == [
        "dataset is missing",
        "space is missing",
    ]


def test_lines_are_those_of_the_fields(tmp_path: Path):
    path = write(
        tmp_path,
        "name: x\ndataset: {builtin: iris}\nspace:\n  layers: 1\n\n  dropout: {type: float, low: a, high: 1}\n",
    )
    with pytest.raises(InvalidStudyError, match=r"s\.yaml, line 6: space\.dropout\.low must be a number, received 'a'"):
        load_study(path)


def test_a_rule_over_the_whole_space_has_the_line_of_the_parameter_it_names(tmp_path: Path):
    path = write(
        tmp_path,
        "name: x\ndataset: {builtin: iris}\nspace:\n  layers: 1\n\n  momentum: 0.9\n  learing_rate: 0.1\n",
    )
    with pytest.raises(InvalidStudyError, match=r"s\.yaml, line 7: space: unknown parameter 'learing_rate'"):
        load_study(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "x",\n "space": {,}}', "line 2, column 12: this is not valid JSON: expecting property name"),
        ('{"name": "x"', "line 1, column 13: this is not valid JSON: expecting ',' delimiter"),
        ("[" * 5000, "is nested too deeply"),
    ],
)
def test_faults_of_a_json_file_speak_of_json(tmp_path: Path, text: str, said: str):
    path = tmp_path / "s.json"
    path.write_text(text)
    with pytest.raises(InvalidStudyError) as caught:
        load_study(path)
    assert said in caught.value.message
    assert "YAML" not in caught.value.message


def test_json_may_be_indented_with_tabs(tmp_path: Path):
    path = tmp_path / "s.json"
    path.write_text('{\n\t"name": "x",\n\t"dataset": {"builtin": "iris"},\n\t"space": {"layers": 1}\n}')
    assert load_study(path).definition().name == "x"


def test_many_complaints_are_cut(tmp_path: Path):
    message = refusal(tmp_path, **{f"x{i}": 1 for i in range(50)})
    assert len(message.splitlines()) == 21
    assert message.endswith("… and 30 more")


def test_numbers_of_yaml_1_1_work(tmp_path: Path):
    path = write(
        tmp_path,
        "name: x\ndataset: {builtin: iris}\nrefit: off\n"
        "space: {learning_rate: {type: float, low: 1e-4, high: 1e-1, log: on}}\n",
    )
    definition = load_study(path).definition()
    assert definition.space.root["learning_rate"].low == 1e-4
    assert definition.refit == "off"


def test_a_path_is_taken_relative_to_the_file_and_replaced_by_the_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "d.csv").write_text("a,y\n1,2\n")
    path = tmp_path / "sub" / "s.yaml"
    path.write_text("name: x\ndataset: {path: d.csv, target: y}\nspace: {layers: 1}\n")
    monkeypatch.chdir(tmp_path)
    study = load_study(Path("sub/s.yaml"))
    assert study.upload is not None
    assert study.upload.path == tmp_path / "sub" / "d.csv"
    assert (study.upload.target, study.upload.name) == ("y", "d")
    assert study.definition("abc").dataset.id == "abc"


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ({"path": "nix.csv", "target": "y"}, "dataset.path must be a CSV, Parquet or NPZ file, found nothing at"),
        ({"path": ".", "target": "y"}, "found a folder at"),
        ({"path": "s.yaml", "target": 3}, "dataset.target must be text, received 3"),
        ({"path": "s.yaml", "builtin": "iris"}, "dataset.builtin is not known beside path"),
        ({"path": ""}, "dataset.path must be text, received ''"),
    ],
)
def test_paths_that_can_not_be_used(tmp_path: Path, dataset: dict[str, object], said: str):
    assert said in refusal(tmp_path, dataset=dataset)
