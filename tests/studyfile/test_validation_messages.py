"""One mistake has one sentence: on the command line, on the page and in the API's problem documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from api.errors.field_errors import field_errors_of, summary
from hpsearch.domain.study import StudyDefinition
from hpsearch.errors import InvalidStudyError
from hpsearch.studyfile.draft import read_draft
from hpsearch.studyfile.reader import load_study
from hpsearch.studyfile.validation_messages import sentence, validation_messages

_GOOD: dict[str, Any] = {"name": "x", "dataset": {"builtin": "iris"}, "space": {"units": 8}}
_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"name": 7}, "name must be text, received 7; write it in quotes"),
    ({"training": 7}, "training must be a mapping of fields, received 7"),
    ({"budget": [1, 2]}, "budget must be a mapping of fields, received a list of 2 items"),
    ({"budget": {"max_trials": "7"}}, "budget.max_trials must be a whole number, received '7'; remove the quotes"),
    ({"budget": {"max_trials": 0}}, "budget.max_trials must be greater than or equal to 1, received 0"),
    ({"algorithm": {"kind": "bayes"}}, "algorithm.kind must be 'grid', 'random' or 'bayesian', received 'bayes'"),
    ({"parallelism": "many"}, "parallelism must be 'auto' or must be a whole number, received 'many'"),
    ({"objective": {}}, "objective.metric is missing"),
    (
        {"objective": {"metrc": 3, "metric": "loss"}},
        "objective.metrc is not a known field; did you mean metric? known here are direction, metric",
    ),
    (
        {"space": {"units": {"type": "integer", "low": 1}}},
        "space.units.type must be one of int, float, categorical, fixed, received 'integer'",
    ),
    (
        {"space": {"momentum": {"values": []}}},
        "space.momentum needs at least 1 item, received a mapping of 1 field",
    ),
    (
        {"space": {"units": {"type": "int", "low": 9, "high": 2}}},
        "space.units: low must not exceed high, received low 9 and high 2",
    ),
]


@pytest.mark.parametrize(("change", "expected"), _MISTAKES)
def test_command_line_page_and_api_give_one_sentence(tmp_path: Path, change: dict[str, Any], expected: str):
    text = json.dumps(_GOOD | change)
    path = tmp_path / "study.json"
    path.write_text(text)
    with pytest.raises(InvalidStudyError) as refused:
        load_study(path)
    (mistake,) = read_draft(text).mistakes
    with pytest.raises(ValidationError) as invalid:
        StudyDefinition.model_validate(_GOOD | change)
    assert refused.value.message.partition(": ")[2] == expected
    assert sentence(mistake.field, mistake.message) == expected
    assert summary(field_errors_of(invalid.value, _GOOD | change, StudyDefinition)) == expected


def test_a_rule_over_the_space_points_at_the_line_of_the_parameter_it_names():
    (mistake,) = read_draft("name: x\ndataset: {builtin: iris}\nspace:\n  units: 8\n  unitz: 8\n").mistakes
    assert mistake.field == "space"
    assert mistake.line == 5


def test_text_in_forms_gets_no_advice_about_quotes():
    with pytest.raises(ValidationError) as invalid:
        TypeAdapter(int).validate_python("7.5")
    (message,) = validation_messages(invalid.value.errors(), "7.5")
    assert message.message == "must be a whole number, received '7.5'"
