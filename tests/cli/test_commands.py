"""Commands against a fake server: what is asked of it, what is printed, with which exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import (
    NOW,
    STUDY_ID,
    TOKEN,
    TRIAL_ID,
    FakeServer,
    Said,
    board,
    dataset,
    final_model,
    page,
    problem,
    row,
    study,
    trial,
)

Run = Callable[..., Said]
S = f"/v1/studies/{STUDY_ID}"


@pytest.fixture
def one_study(fake: FakeServer) -> FakeServer:
    """A server with one study that is found by its name, its id and the start of it."""
    fake.routes["GET", "/v1/studies"] = lambda request: (
        page(study()) if request.query.get("name", "digits") == "digits" else page()
    )
    fake.routes["GET", S] = study()
    return fake


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text("name: digits\ndataset: {builtin: digits}\nspace: {layers: {type: int, low: 1, high: 2}}\n")
    return path


def test_studies_as_a_table_and_as_json(one_study: FakeServer, remote: Run):
    said = remote("studies")
    assert said.code == 0
    assert said.err == ""
    header, line = said.out.splitlines()
    assert header.split() == ["id", "name", "state", "trials", "best", "age"]
    assert line.split()[:4] == [STUDY_ID[:13], "digits", "running", "3/4"]
    assert "accuracy 0.99" in line
    as_json = remote("studies", "--json", "--state", "running")
    assert as_json.json["items"][0]["study_id"] == STUDY_ID
    assert one_study.requests[-1].query["state"] == "RUNNING"
    assert one_study.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_long_list_is_fetched_page_by_page(fake: FakeServer, remote: Run):
    pages = {
        None: page(*[study(name=f"s{i}") for i in range(200)], next_page_token="t1"),
        "t1": page(*[study(name=f"s{i}") for i in range(200, 300)], next_page_token="t2"),
    }
    fake.routes["GET", "/v1/studies"] = lambda request: pages[request.query.get("page_token")]
    listed = remote("studies", "--limit", 250, "--json").json
    assert [item["name"] for item in listed["items"]][-1] == "s299"
    assert [request.query["limit"] for request in fake.requests] == ["200", "50"]


def test_leaderboard_shows_only_what_differs_and_marks_baselines(one_study: FakeServer, remote: Run):
    linear = row(3, kind="baseline", params={"layers": 0, "learning_rate": 0.001, "activation": "relu"})
    mlp = row(4, kind="baseline", params={"layers": 2, "learning_rate": 0.001, "activation": "relu"})
    one_study.routes["GET", S + "/leaderboard"] = board(row(1), row(2), linear, mlp)
    said = remote("leaderboard", "digits")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == ["rank", "trial", "accuracy", "epochs", "weights", "parameters"]
    assert lines[1].split() == ["1", "3", "0.9900", "12", "5,000", "layers=1", "units=64", "learning_rate=0.001"]
    assert "linear model  layers=0" in lines[3]
    assert "default network  layers=2" in lines[4]
    assert lines[5] == "all: activation=relu"
    assert "digits" in said.err
    assert "3 of 4 trials" in said.err


def test_leaderboard_json_is_the_page_of_the_api(one_study: FakeServer, remote: Run):
    one_study.routes["GET", S + "/leaderboard"] = board(row(1), row(2), next_page_token="more")
    printed = remote("leaderboard", "digits", "--json").json
    assert printed["metric"] == "accuracy"
    assert printed["direction"] == "maximize"
    assert printed["next_page_token"] == "more"
    unconfirmed = dict.fromkeys(("mean", "n_seeds", "interval", "rank_interval", "stop_reason"))
    assert printed["items"][0] == row(1) | unconfirmed
    assert "limit" not in one_study.asked("GET", S + "/leaderboard")[0].query
    limited = remote("leaderboard", "digits", "--json", "--limit", 1).json
    assert limited["next_page_token"] == "more"


def test_leaderboard_after_confirmation_shows_means_and_ranks(one_study: FakeServer, remote: Run):
    confirmed = {"mean": 0.97, "n_seeds": 5, "interval": [0.96, 0.98], "rank_interval": [1, 3]}
    one_study.routes["GET", S + "/leaderboard"] = board(row(1, **confirmed), row(2))
    said = remote("leaderboard", "digits")
    assert "0.9700 (0.9600 to 0.9800)" in said.out
    assert "1-3" in said.out


def test_an_empty_leaderboard_says_so(one_study: FakeServer, remote: Run):
    one_study.routes["GET", S + "/leaderboard"] = board()
    said = remote("leaderboard", "digits")
    assert (said.code, said.out) == (0, "")
    assert "No trial has come to a result yet: hpsearch trials digits" in said.err


def test_columns_are_those_asked_for(one_study: FakeServer, remote: Run):
    one_study.routes["GET", S + "/leaderboard"] = board(row(1), row(2))
    said = remote("leaderboard", "digits", "--columns", "trial, loss,units,learning_rate,took")
    assert said.out.splitlines()[0].split() == ["trial", "loss", "units", "learning_rate", "took"]
    assert said.out.splitlines()[1].split() == ["3", "0.1000", "64", "0.001", "1.6", "s"]
    one_study.routes["GET", S + "/trials"] = page(trial(0), trial(1, params={"layers": 2}))
    said = remote("trials", "digits", "--columns", "state,layers,learning_rate")
    assert [line.split() for line in said.out.splitlines()[1:]] == [["complete", "1", "0.01"], ["complete", "2", "-"]]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("trial,acuracy", "there is no column 'acuracy'; did you mean 'accuracy'? known here are"),
        (",", "no column ','"),
    ],
)
def test_an_unknown_column_is_refused(one_study: FakeServer, remote: Run, columns: str, said: str):
    one_study.routes["GET", S + "/leaderboard"] = board(row(1))
    refused = remote("leaderboard", "digits", "--columns", columns)
    assert (refused.code, refused.out) == (1, "")
    assert said in refused.err


@pytest.mark.parametrize(
    ("arguments", "path", "said"),
    [
        (["studies"], "/v1/studies", "There is no study yet: hpsearch run STUDY.yaml"),
        (["studies", "--state", "paused"], "/v1/studies", "No study is PAUSED: hpsearch studies  lists all."),
        (["workers", "list"], "/v1/workers", "No worker is connected: hpsearch worker --server http://127.0.0.1:"),
        (["datasets", "list"], "/v1/datasets", "There is no data set yet: hpsearch datasets add FILE"),
        (["tokens", "list"], "/v1/tokens", "There is no token yet: hpsearch tokens create"),
    ],
)
def test_an_empty_list_says_what_to_do(fake: FakeServer, remote: Run, arguments: list[str], path: str, said: str):
    fake.routes["GET", path] = page()
    result = remote(*arguments)
    assert (result.code, result.out) == (0, "")
    assert said in result.err
    assert result.err.count("\n") == 1
    assert remote(*arguments, "--json").json["items"] == []


def test_no_trials_of_a_kind_says_which_there_are(one_study: FakeServer, remote: Run):
    one_study.routes["GET", S + "/trials"] = page()
    said = remote("trials", "digits", "--state", "failed", "--kind", "search")
    assert said.err == "Study 'digits' has no FAILED search trials; it has 3 COMPLETE, 1 RUNNING.\n"


def test_names_from_the_server_can_not_steer_the_terminal(fake: FakeServer, remote: Run):
    fake.routes["GET", "/v1/studies"] = page(study(name="[red]evil\x1b[2J[/red]"))
    said = remote("studies")
    assert "[red]evil\\x1b[2J[/red]" in said.out
    assert "\x1b" not in said.out


@pytest.mark.parametrize("wanted", ["digits", STUDY_ID, STUDY_ID[:13], "0193"])
def test_a_study_is_found_by_name_id_and_start_of_an_id(one_study: FakeServer, remote: Run, wanted: str):
    one_study.routes["POST", S + "/pause"] = study(state="PAUSED")
    said = remote("pause", wanted)
    assert said.code == 0
    assert f"Study 'digits' ({STUDY_ID}) is paused; 3 of 4 trials done." in said.err
    assert len(one_study.asked("POST", S + "/pause")) == 1


def test_an_ambiguous_start_of_an_id_is_refused(fake: FakeServer, remote: Run):
    other = STUDY_ID[:-1] + "2"
    fake.routes["GET", "/v1/studies"] = lambda request: (
        page() if "name" in request.query else page(study(), study(study_id=other, name="wine"))
    )
    said = remote("cancel", "0193a1b2")
    assert said.code == 1
    assert said.err.startswith("Error: '0193a1b2' begins 2 ids: ")
    assert f"{other} (wine)" in said.err
    assert not [request for request in fake.requests if request.method == "POST"]


def test_an_unknown_study_is_said_with_the_known_ones(one_study: FakeServer, remote: Run):
    said = remote("best", "nix")
    assert said.code == 1
    assert said.err == "Error: there is no study 'nix'; the latest are 'digits'\n"


@pytest.mark.parametrize("verb", ["pause", "resume", "stop", "cancel"])
def test_steering_as_json(one_study: FakeServer, remote: Run, verb: str):
    one_study.routes["POST", f"{S}/{verb}"] = study(state="CANCELLED", end_reason="user")
    assert remote(verb, "digits", "--json").json["end_reason"] == "user"


def test_steering_refused_by_the_server(one_study: FakeServer, remote: Run):
    one_study.routes["POST", S + "/resume"] = problem(409, "study.bad_state", "study 'digits' is COMPLETED, not PAUSED")
    said = remote("resume", "digits")
    assert (said.code, said.out) == (1, "")
    assert said.err == "Error: study 'digits' is COMPLETED, not PAUSED\n"


def test_extend_and_retry_failed(one_study: FakeServer, remote: Run):
    one_study.routes["POST", S + "/extend"] = study()
    one_study.routes["POST", S + "/retry-failed"] = {"n_retried": 2}
    assert remote("extend", "digits", "--max-trials", 50).code == 0
    assert one_study.requests[-1].json == {"max_trials": 50}
    assert remote("extend", "digits", 52).code == 0
    assert one_study.requests[-1].json == {"max_trials": 52}
    assert "2 failed trials back in the queue" in remote("retry-failed", "digits").err
    assert remote("retry-failed", "digits", "--json").json == {"n_retried": 2}


def test_best_with_download(one_study: FakeServer, remote: Run, tmp_path: Path):
    one_study.routes["GET", S + "/model"] = b"model bytes"
    said = remote("best", "digits", "--download", "m.keras", "--json")
    assert (tmp_path / "m.keras").read_bytes() == b"model bytes"
    assert said.json["model"] == str(tmp_path / "m.keras")
    assert said.json["best"]["trial_id"] == TRIAL_ID
    plain = remote("best", "digits")
    assert plain.out.splitlines()[0] == "digits, running: trial 3, accuracy 0.9900 (validation)"
    one_study.routes["GET", "/v1/studies"] = page(study(state="COMPLETED", final=final_model()))
    assert remote("best", "digits", "--json").json["final"] == final_model()
    lines = remote("best", "digits").out.splitlines()
    assert lines[1] == "Final model: test accuracy 0.9750 on 360 rows (95 %: 0.9532 to 0.9868)"


def test_best_without_a_result_or_model_is_exit_code_3(fake: FakeServer, remote: Run, tmp_path: Path):
    fake.routes["GET", "/v1/studies"] = page(study(best=None, n_trials=0))
    said = remote("best", "digits")
    assert said.code == 3
    assert "has no result yet" in said.err
    fake.routes["GET", "/v1/studies"] = page(study())
    said = remote("best", "digits", "--download", "m.keras")
    assert said.code == 3
    assert "no model to download" in said.err
    assert not (tmp_path / "m.keras").exists()


def test_the_model_of_any_kept_trial(one_study: FakeServer, remote: Run, tmp_path: Path):
    one_study.routes["GET", S + "/model"] = b"final"
    assert remote("model", "digits").err == "The model of study 'digits' is in model.keras (5 B).\n"
    one_study.routes["GET", S + "/trials"] = page(trial(0), trial(7))
    one_study.routes["GET", f"/v1/trials/{TRIAL_ID}"] = trial(7)
    one_study.routes["GET", f"/v1/trials/{TRIAL_ID}/model"] = b"model of 7"
    said = remote("model", "digits#7", "--out", "m7.keras", "--json")
    assert said.json == {
        "study_id": STUDY_ID,
        "trial_id": TRIAL_ID,
        "number": 7,
        "model": str(tmp_path / "m7.keras"),
    }
    assert (tmp_path / "m7.keras").read_bytes() == b"model of 7"
    told = "the model of trial 7 of study 'digits' is not kept; kept are those of trials 0, 1"
    one_study.routes["GET", f"/v1/trials/{TRIAL_ID}/model"] = problem(404, "model.not_found", told)
    said = remote("model", "digits#7", "--out", "other.keras")
    assert (said.code, said.err) == (1, f"Error: {told}\n")
    assert not (tmp_path / "other.keras").exists()


def test_trials_are_listed_with_the_filters_asked_for(one_study: FakeServer, remote: Run):
    failed = trial(1, state="FAILED", value=None, cause="training_error", epochs=None, duration_s=None)
    one_study.routes["GET", S + "/trials"] = page(trial(0), failed)
    said = remote("trials", "digits", "--state", "failed", "--sort", "value", "--desc")
    assert one_study.requests[-1].query == {
        "state": "FAILED", "sort": "value", "order": "desc", "limit": "50",
    }  # fmt: skip
    assert "failed (training_error)" in said.out
    assert remote("trials", "digits", "--json").json["items"][1]["state"] == "FAILED"


def test_one_trial_by_number_with_its_epochs(one_study: FakeServer, remote: Run):
    attempt = {
        "attempt": 1,
        "worker_id": "w",
        "worker_name": "gpu1",
        "started_at": NOW,
        "ended_at": NOW,
        "state": "COMPLETE",
    }
    one_study.routes["GET", S + "/trials"] = page(trial(0), trial(12))
    one_study.routes["GET", f"/v1/trials/{TRIAL_ID}"] = trial(12) | {
        "attempts": [attempt],
        "stop_reason": "early_stopping",
    }
    epochs = [{"attempt": 1, "epoch": e, "metrics": {"accuracy": e / 10, "train_loss": None}} for e in (1, 2, 3)]
    one_study.routes["GET", f"/v1/trials/{TRIAL_ID}/measurements"] = page(*epochs)
    said = remote("trial", "digits#12")
    assert said.code == 0
    assert "complete, early_stopping" in said.out
    assert "complete on gpu1" in said.out
    assert "result      accuracy 0.9500 at epoch 3 of 5" in said.out
    assert any(line.split()[:5] == ["accuracy", "0.1", "0.3", "0.1", "0.3"] for line in said.out.splitlines())
    assert len(remote("trial", TRIAL_ID, "--json").json["measurements"]) == 3


@pytest.mark.parametrize(
    ("name", "said"),
    [("12", "named by its id or as STUDY#NUMBER"), ("digits#x", "STUDY#NUMBER"), ("digits#99", "no trial number 99")],
)
def test_a_trial_that_is_not_there(one_study: FakeServer, remote: Run, name: str, said: str):
    one_study.routes["GET", S + "/trials"] = page(trial(0))
    result = remote("trial", name)
    assert result.code == 1
    assert said in result.err


def test_submit_prints_the_id_and_sends_an_idempotency_key(fake: FakeServer, remote: Run, yaml_file: Path):
    fake.routes["POST", "/v1/studies"] = (201, study())
    fake.routes["GET", "/v1/workers"] = page()
    said = remote("submit", yaml_file)
    assert (said.code, said.out) == (0, STUDY_ID + "\n")
    assert "No worker is connected" in said.err
    request = fake.asked("POST", "/v1/studies")[0]
    assert request.json["name"] == "digits"
    assert len(request.headers["idempotency-key"]) >= 32
    assert remote("submit", yaml_file, "--json").json["study_id"] == STUDY_ID


def test_submit_uploads_the_data_it_names(fake: FakeServer, remote: Run, tmp_path: Path):
    (tmp_path / "d.csv").write_text("a,y\n1,2\n")
    (tmp_path / "s.yaml").write_text("name: x\ndataset: {path: d.csv, target: y}\nspace: {layers: 1}\n")
    fake.routes["POST", "/v1/datasets"] = (201, dataset())
    fake.routes["POST", "/v1/studies"] = (201, study())
    fake.routes["GET", "/v1/workers"] = page()
    assert remote("submit", "s.yaml").code == 0
    upload, created = fake.asked("POST", "/v1/datasets")[0], fake.asked("POST", "/v1/studies")[0]
    assert b"a,y\n1,2\n" in upload.body
    assert b'name="target"\r\n\r\ny' in upload.body
    assert created.json["dataset"] == {"id": "d1"}


def test_a_bad_file_never_reaches_the_server(fake: FakeServer, remote: Run, tmp_path: Path):
    (tmp_path / "s.yaml").write_text("name: x\ndataset: {builtin: nope}\nspace: {layers: 1}\n")
    for command in ("run", "submit", "validate", "preview"):
        said = remote(command, "s.yaml")
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("Error: s.yaml, line 2: dataset: unknown builtin data set 'nope'; known are digits")
    assert fake.requests == []


def test_validate(fake: FakeServer, remote: Run, yaml_file: Path):
    fake.routes["POST", "/v1/studies/validate"] = {
        "valid": True,
        "warnings": [{"field": "split", "message": "few rows"}],
    }
    said = remote("validate", yaml_file)
    assert (said.code, said.out) == (0, f"{yaml_file} is a valid study.\n")
    assert f"note: {yaml_file}: split: few rows" in said.err
    refused = {"valid": False, "errors": [{"field": "split.folds", "message": "50 folds of 20 rows"}]}
    fake.routes["POST", "/v1/studies/validate"] = refused
    said = remote("validate", yaml_file)
    assert (said.code, said.out) == (1, "")
    assert said.err == f"Error: {yaml_file}: split.folds: 50 folds of 20 rows\n"
    said = remote("validate", yaml_file, "--json")
    assert said.code == 1
    assert said.json["errors"][0]["field"] == "split.folds"


def test_preview(fake: FakeServer, remote: Run, yaml_file: Path):
    fake.routes["POST", "/v1/studies/preview"] = {
        "valid": True,
        "task": "multiclass",
        "grid_size": 12,
        "max_trials": 12,
        "sample": [{"params": {"layers": 1, "units": 8}, "n_weights": 610}],
        "min_weights": 610,
        "max_weights": 610,
        "estimated_device_seconds": 90.0,
    }
    lines = remote("preview", yaml_file).out.splitlines()
    assert lines[0] == "trials   12 of a grid of 12 points, task multiclass"
    assert lines[2] == "cost     about 1 m 30 s of device time (a rough guess)"
    assert lines[-1].split() == ["610", "weights", "layers=1", "units=8"]
    assert remote("preview", yaml_file, "--json").json["grid_size"] == 12


def test_delete_asks_first(one_study: FakeServer, remote: Run, monkeypatch: pytest.MonkeyPatch):
    one_study.routes["DELETE", S] = (204, {})

    def no(*_arguments: object, **_options: object) -> None:
        raise typer.Abort

    monkeypatch.setattr("typer.confirm", no)
    assert remote("delete", "digits").code == 130
    assert not one_study.asked("DELETE", S)
    assert remote("delete", "digits", "--yes").code == 0
    assert len(one_study.asked("DELETE", S)) == 1
