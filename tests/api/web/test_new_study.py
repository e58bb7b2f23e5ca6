"""A new study through the page: data chosen or uploaded, a proposal, fields and text checked, created once."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.web.study_fields import PARAMETERS, Parameter, from_fields, to_fields
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.study import StudyDefinition
from hpsearch.service.studies import crud
from hpsearch.studyfile.draft import read_draft
from hpsearch.studyfile.writer import as_yaml, shortest
from tests.api.conftest import STUDY
from tests.api.web.conftest import OWN, Site

_TABLE = "height,colour,label\n" + "".join(f"{i / 7:.3f},{'red' if i % 3 else 'blue'},{i % 2}\n" for i in range(60))
_FULL: dict[str, Any] = {
    "name": "1e-3: off",
    "dataset": {"builtin": "digits"},
    "task": "multiclass",
    "split": {"validation": 0.25, "test": 0.1},
    "objective": {"metric": "f1_macro"},
    "space": {
        "layers": {"type": "int", "low": 1, "high": 3},
        "units": {"type": "int", "low": 8, "high": 64, "log": True, "steps": 3, "per_layer": True},
        "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
        "learning_rate": {"type": "float", "low": 1e-5, "high": 0.1, "log": True, "steps": 4},
        "optimizer": "adam",
        "dropout": {"type": "float", "values": [0.0, 0.25]},
        "batch_size": {"type": "int", "values": [32, 64]},
        "batch_norm": {"type": "categorical", "choices": [True, False]},
    },
    "constraints": {"max_weights": 50_000},
    "algorithm": {"kind": "grid", "seed": 3},
    "training": {"max_epochs": 20, "early_stopping": {"patience": 4}},
    "budget": {"max_trials": 12, "wall_time_s": 3600.0, "device_seconds": 90.0, "target": 0.99},
    "confirm": {"top_k": 2, "seeds": 4},
    "refit": "auto",
    "baselines": False,
}


def _yaml_of(text: str) -> str:
    found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", text, re.DOTALL)
    assert found
    return html.unescape(found[1])


def test_all_fields_say_what_the_definition_says() -> None:
    again = from_fields(to_fields(_FULL), _FULL["dataset"], "multiclass")
    assert StudyDefinition.model_validate(again) == StudyDefinition.model_validate(_FULL)


@pytest.mark.parametrize("one", PARAMETERS, ids=lambda one: one.name)
def test_every_hyperparameter_can_be_searched_in_the_form(one: Parameter) -> None:
    low, high = (2, 5) if one.kind == "int" else (0.01, 0.02)
    parameter = (
        {"type": one.kind, "low": low, "high": high}
        if one.has_range
        else {"type": "categorical", "choices": [True, False] if one.kind == "switch" else list(one.known[:2])}
    )
    raw = {"name": "one", "dataset": {"builtin": "iris"}, "task": "multiclass", "space": {one.name: parameter}}
    again = StudyDefinition.model_validate(from_fields(to_fields(raw), {"builtin": "iris"}, "multiclass"))
    assert again.space == StudyDefinition.model_validate(raw).space
    assert one.help


def test_the_form_has_a_row_for_every_hyperparameter() -> None:
    assert {one.name for one in PARAMETERS} == {"layers", *MlpConfig.model_fields}


def test_a_definition_is_the_same_after_writing_and_reading() -> None:
    definition = StudyDefinition.model_validate(_FULL)
    for text in (as_yaml(_FULL), as_yaml(shortest(definition))):
        draft = read_draft(text)
        assert draft.definition == definition, draft.mistakes
        assert "  learning_rate: {type: float, low: 1.0e-05, high: 0.1, log: true, steps: 4}\n" in text


@given(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=60),
    st.sampled_from(
        [1, 2.5, True, "relu", "off", "1e-3", "null", "0x1f", "~", "- a", "#", "'", ": ", "12:30", "=", "<<"]
    ),
)
def test_every_name_survives_the_text(name: str, value: Any) -> None:
    written = as_yaml({"name": name, "space": {"x": value, "y": [value], "z": {"w": value}}})
    draft = read_draft(written)
    assert draft.document is not None
    assert draft.document.data == {"name": name, "space": {"x": value, "y": [value], "z": {"w": value}}}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"units.low": "64", "units.high": "8"}, "low must not exceed high"),
        ({"units.low": "many", "units.high": "8"}, "must be a whole number"),
        ({"units.low": "2.5", "units.high": "8"}, "must be a whole number"),
        ({"learning_rate.low": "1e400", "learning_rate.high": "1"}, "must be a"),
        ({"units.low": "9" * 30, "units.high": "1"}, "must be a"),
        ({"activation.values": "relu, swoosh"}, "swoosh"),
        ({"max_trials": "-1"}, "greater than or equal to 1"),
        ({"max_trials": "lots"}, "whole number"),
        ({"name": " "}, "name"),
        ({"algorithm": "magic"}, "grid"),
        ({"units.low": "1"}, "high"),
    ],
)
def test_fields_that_can_not_be_are_complained_about(site: Site, fields: dict[str, str], complaint: str) -> None:
    good = to_fields(_FULL | {"algorithm": {"kind": "random"}, "name": "fine"})
    reference = {"dataset.kind": "builtin", "dataset.value": "iris", "task": "multiclass"}
    for name in fields:  # a range, not the values it had
        good = {key: value for key, value in good.items() if key.partition(".")[0] != name.partition(".")[0]}
    answer = site.author.post("/ui/studies/new/compose", {**reference, **good, **fields})
    assert answer.status_code == 200
    assert complaint in html.unescape(answer.text)
    assert "disabled>Start study" in answer.text


def test_fields_are_composed_into_text_and_previewed(site: Site) -> None:
    fields = to_fields(_FULL | {"algorithm": {"kind": "random", "seed": 3}})
    reference = {"dataset.kind": "builtin", "dataset.value": "digits", "task": "multiclass"}
    answer = site.author.post("/ui/studies/new/compose", {**fields, **reference})
    assert answer.text.count("<hx-partial") == 2
    written = yaml.safe_load(_yaml_of(answer.text))
    assert written["dataset"] == {"builtin": "digits"}
    assert written["space"]["units"] == _FULL["space"]["units"]
    assert "<dt>Trials</dt><dd>12" in answer.text
    assert 'class="primary">Start study' in answer.text


def test_a_grid_tells_its_size_before_it_begins(site: Site) -> None:
    space = {
        "units": {"type": "int", "low": 2, "high": 16, "steps": 3},
        "dropout": {"type": "float", "values": [0.0, 0.5]},
    }
    text = as_yaml(STUDY | {"space": space, "algorithm": {"kind": "grid"}, "budget": {}})
    answer = site.author.post("/ui/studies/new/check", {"yaml": text})
    assert "6 of a grid of 6 points" in answer.text
    assert re.search(r"<dt>Weights</dt><dd>\d+ to \d+", answer.text)
    assert "about" in answer.text or "under a minute" in answer.text


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("", ["received nothing"]),
        ("a: [", ["not valid YAML"]),
        ("- a", ["received a list"]),
        ("name: x\nname: y\n", ["line 2", "given twice"]),
        (
            "name: x\ndataset: {builtin: iris}\nspace:\n  units: {type: int, low: 5, high: 1}\n",
            ["line 4", "space.units", "low must not exceed high"],
        ),
        ("name: x\ndataset: {path: data.csv}\nspace: {}\n", ["dataset.path", "is not a known field"]),
        ("name: x\ndataset: {id: nothing}\nspace: {units: 3}\n", ["there is no data set"]),
        ("name: x\ndataset: {builtin: iris}\nspace: {units: 3}\nobjective: {metric: mse}\n", ["mse"]),
        ("a: &a [*a]", ["expand without end"]),
        ("x: " + "[" * 5000, ["nested too deeply"]),
        ("name: !!python/object/apply:os.system [id]\n", ["is not known here"]),
    ],
)
def test_text_is_checked_while_it_is_written(site: Site, text: str, complaints: list[str]) -> None:
    answer = site.author.post("/ui/studies/new/check", {"yaml": text})
    assert answer.status_code == 200
    shown = html.unescape(answer.text)
    for one in complaints:
        assert one in shown
    assert "disabled>Start study" in answer.text


def test_the_choice_of_data(site: Site) -> None:
    text = site.author.get("/ui/studies/new").text
    for name in ("builtin=digits", "generated=moons"):
        assert f'href="/ui/studies/new?{name}"' in text
    assert 'enctype="multipart/form-data"' in text


@pytest.mark.parametrize("query", ["builtin=iris", "builtin=diabetes", "generated=churn", "generated=moons"])
def test_the_proposal_is_ready_to_be_sent(site: Site, query: str) -> None:
    answer = site.author.get(f"/ui/studies/new?{query}")
    draft = read_draft(_yaml_of(answer.text))
    assert draft.definition is not None, draft.mistakes
    assert 'class="primary">Start study' in answer.text
    assert "<dt>Rows</dt>" in answer.text
    assert "Sample configurations" in answer.text


def test_a_file_is_uploaded_described_and_proposed_for(fresh: Site) -> None:
    files = {"file": ("../<b>tab.csv", _TABLE.encode(), "text/csv")}
    sent = fresh.author.post("/ui/datasets", {"target": "colour"}, files=files)
    assert sent.status_code == 204, sent.text
    address = sent.headers["HX-Redirect"]
    assert address.startswith("/ui/studies/new?dataset=")
    form = fresh.author.get(address).text
    assert "<dt>Target</dt><dd><code>colour</code>" in form
    assert "<td>binary</td>" in form  # the column of 0 and 1
    assert "&lt;b&gt;tab" in form
    assert "<b>tab" not in form
    definition = read_draft(_yaml_of(form)).definition
    assert definition is not None
    assert definition.dataset.id == address.partition("=")[2]
    assert address.partition("=")[2] in fresh.author.get("/ui/studies/new").text
    listed = fresh.reader.get("/ui/datasets").text
    assert "&lt;b&gt;tab" in listed
    page = fresh.reader.get(f"/ui/datasets/{definition.dataset.id}").text
    assert "Delete" not in page
    assert "<td>categorical</td>" not in page  # the only one is the target
    gone = fresh.author.post(f"/ui/datasets/{definition.dataset.id}/delete")
    assert gone.headers["HX-Redirect"] == "/ui/datasets"
    assert fresh.reader.get(f"/ui/datasets/{definition.dataset.id}").status_code == 404


@pytest.mark.parametrize(
    ("content", "target", "complaint"),
    [
        (b"", None, "empty"),
        (b"<html></html>", None, ""),
        (b"a,b\n1,2\n", "c", "c"),
        (b"PK\x03\x04" + bytes(100), None, ""),
    ],
)
def test_files_that_can_not_be_used_say_why(site: Site, content: bytes, target: str | None, complaint: str) -> None:
    fields = {} if target is None else {"target": target}
    headers = {"Accept": "application/json"}  # as the script of the upload asks
    answer = site.author.post("/ui/datasets", fields, files={"file": ("a.csv", content)}, headers=headers)
    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]
    part = site.author.post("/ui/datasets", fields, files={"file": ("a.csv", content)})
    assert part.headers["HX-Retarget"] == "#notices"


def test_a_form_without_scripts_does_as_well(site: Site) -> None:
    headers = {"Cookie": f"hpsearch_session={site.author.token}", **OWN, "Accept": "text/html"}
    answer = site.client.post(
        "/ui/datasets", headers=headers, files={"file": ("plain.csv", _TABLE.encode())}, follow_redirects=False
    )
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/ui/studies/new?dataset=")
    answer = site.client.post("/ui/studies", headers=headers, data={"yaml": as_yaml(STUDY)}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/ui/studies/")


def test_one_form_makes_one_study(fresh: Site) -> None:
    text = as_yaml(STUDY)
    key = re.search(r'name="key" value="([\w-]{20,})"', fresh.author.get("/ui/studies/new?builtin=iris").text)
    assert key
    fields = {"yaml": text, "key": key[1]}
    addresses = {fresh.author.post("/ui/studies", fields).headers["HX-Redirect"] for _ in range(3)}
    assert len(addresses) == 1
    (address,) = addresses
    made = crud.get(fresh.context, address.rpartition("/")[2])
    assert made.definition == StudyDefinition.model_validate(STUDY)
    assert len(crud.listing(fresh.context, limit=10, page_token=None).items) == 1
    changed = fresh.author.post("/ui/studies", {"yaml": as_yaml(STUDY | {"name": "other"}), "key": key[1]})
    assert changed.headers["HX-Redirect"] != address


@pytest.mark.parametrize(
    "text",
    ["", "a: [", as_yaml(STUDY | {"dataset": {"id": "nothing"}}), as_yaml(STUDY | {"objective": {"metric": "mse"}})],
)
def test_what_can_not_be_a_study_is_not_made(site: Site, text: str) -> None:
    before = len(crud.listing(site.context, limit=100, page_token=None).items)
    answer = site.author.post("/ui/studies", {"yaml": text})
    assert answer.status_code in (404, 422)
    assert answer.headers["HX-Retarget"] in ("#preview", "#notices")
    assert len(crud.listing(site.context, limit=100, page_token=None).items) == before


def test_a_study_is_begun_from_another(site: Site) -> None:
    made = site.author.post("/ui/studies", {"yaml": as_yaml(_FULL | {"name": "first"})})
    assert made.status_code == 204, made.text
    study_id = made.headers["HX-Redirect"].rpartition("/")[2]
    form = site.author.get(f"/ui/studies/new?study={study_id}")
    again = read_draft(_yaml_of(form.text)).definition
    assert again == StudyDefinition.model_validate(_FULL | {"name": "first (again)"})
    assert 'id="by-hand" class="notice">' in form.text


@pytest.mark.parametrize("body", [b"yaml=%ff", b"&".join(b"a%d=1" % i for i in range(1000)), b"yaml=" + b"x" * 600_000])
def test_forms_are_small_and_readable(site: Site, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = site.author.post("/ui/studies/new/check", headers=headers, content=body)
    assert answer.status_code in (413, 422)
    assert 'role="alert"' in answer.text
