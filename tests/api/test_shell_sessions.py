"""The sessions with curl on the pages and the samples of the documentation, run as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.documentation.samples import SERVER
from api.errors.problem_documents import ProblemDocument
from tests.api.conftest import Live, Worker, create_study, eventually
from tests.architecture.checkout import ROOT
from tests.required import program


@pytest.fixture(autouse=True, scope="module")
def curl() -> str:
    """What the sessions are about."""
    return program("curl", "curl", "CURL")


_GUIDE = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
_README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


def _token(live: Live) -> str:
    return live.admin["Authorization"].removeprefix("Bearer ")


def _start(live: Live, session: str, folder: Path, **variables: str) -> subprocess.Popen[bytes]:
    """Start a session; what it says goes to files, so that nobody waits for what it leaves running."""
    environment = {**os.environ, "URL": live.url, "TOKEN": _token(live), **variables}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        return subprocess.Popen(["bash", "-euc", session], cwd=folder, env=environment, stdout=out, stderr=err)


def _meanwhile(live: Live, session: subprocess.Popen[bytes], work: Callable[[Any, str], object]) -> int:
    """Do some work once the session has created its study; return the session's exit status."""
    with live.client() as client:

        def studies() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = client.get("/v1/studies").json()["items"]
            return found

        eventually(lambda: session.poll() is not None or bool(studies()))
        for study in studies():
            work(client, study["study_id"])
    return session.wait(30)


def test_the_guide_is_one_session(live: Live, tmp_path: Path) -> None:
    session = _start(live, "".join(_blocks(_GUIDE, "sh")), tmp_path)
    status = _meanwhile(live, session, lambda client, _: Worker.register(client, live.admin).finish(4, model=b"model"))
    said = (tmp_path / "out").read_text(encoding="utf-8")
    assert status == 0, said + (tmp_path / "err").read_text(encoding="utf-8")
    lines = said.splitlines()
    assert any(line.endswith("parameter.unknown") for line in lines)
    assert "guide" in lines, "found by its label"
    assert lines.count("trial.complete") == 4, "and the refit"
    assert (tmp_path / "best.keras").read_bytes().startswith(b"model")


def test_the_guides_problem_is_the_servers(live: Live) -> None:
    (shown,) = [json.loads(block) for block in _blocks(_GUIDE, "json")]
    ProblemDocument.model_validate(shown)
    with live.client() as client:
        answered = client.get("/v1/studies?colour=red", headers={"X-Request-ID": shown["request_id"]}).json()
    assert answered == shown


_SESSION = _README.split("<!-- run by tests/docs/test_readme.py -->\n```sh\n")[1].split("```")[0]


def _cancel(client: Any, study_id: str) -> None:
    assert client.post(f"/v1/studies/{study_id}/cancel").status_code == 200


@pytest.mark.parametrize("shell", ["strict", "as typed"])
def test_the_readmes_session_ends_when_the_study_is_cancelled(live: Live, tmp_path: Path, shell: str) -> None:
    session = _start(live, _SESSION if shell == "strict" else f"set +eu\n{_SESSION}", tmp_path)
    assert _meanwhile(live, session, _cancel) != 0, "there is no model"
    assert "404" in (tmp_path / "err").read_text(encoding="utf-8")
    assert not (tmp_path / "best.keras").exists()


@pytest.mark.parametrize("shell", ["strict", "as typed"])
def test_the_readmes_session_ends_when_nothing_was_created(live: Live, tmp_path: Path, shell: str) -> None:
    session = _start(live, _SESSION if shell == "strict" else f"set +eu\n{_SESSION}", tmp_path, TOKEN="wrong")
    assert session.wait(10) != 0
    assert "401" in (tmp_path / "err").read_text(encoding="utf-8")


_SPACE = {
    "layers": {"type": "int", "low": 1, "high": 2},
    "units": {"type": "int", "low": 8, "high": 64},
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1},
}
# What samples answer that can not go well as they stand: their trial is invented, or has not failed.
_REFUSED = {"send_reports": 404, "retry_trial": 409}
_WITHOUT_END = ("stream_events", "stream_leaderboard")
# These want a study, trial, data set or token of their own, to change or delete.
_NEEDS_OPEN = (
    "pause_study", "resume_study", "stop_study", "cancel_study", "extend_study", "enqueue_trial", "update_study",
    "claim_trials",
)  # fmt: skip


class _Place:
    """A finished study and fresh ones, for samples to work on."""

    def __init__(self, live: Live, client: Any, folder: Path) -> None:
        self._live, self._client = live, client
        self.study = create_study(client, live.admin, space=_SPACE, budget={"max_trials": 1})
        self.worker = Worker.register(client, live.admin)
        (self.trial,) = self.worker.finish(1, model=b"model")
        self.dataset = client.get(f"/v1/studies/{self.study}").json()["resolved"]["dataset_id"]
        (folder / "data.csv").write_text("a,label\n" + "1,x\n2,y\n" * 20, encoding="utf-8")
        (folder / "best.keras").write_bytes(b"model")

    def ids(self, name: str) -> dict[str, str]:
        """Return the variables that the sample of an operation speaks of."""
        found = {
            "STUDY_ID": self.study, "TRIAL_ID": self.trial["trial_id"], "WORKER_ID": self.worker.worker_id,
            "DATASET_ID": self.dataset, "TOKEN_ID": "", "ATTEMPT": "1",
        }  # fmt: skip
        if name in _NEEDS_OPEN or name == "delete_study":
            found["STUDY_ID"] = create_study(self._client, self._live.admin, space=_SPACE)
        if name in ("resume_study", "delete_study"):
            verb = "pause" if name == "resume_study" else "cancel"
            assert self._client.post(f"/v1/studies/{found['STUDY_ID']}/{verb}").status_code == 200
        if name in ("stop_trial", "upload_model"):
            study = create_study(self._client, self._live.admin, space=_SPACE)
            assert self._client.patch(f"/v1/studies/{study}", json={"priority": 9}).status_code == 200
            (held,) = self.worker.claim(1)
            found["TRIAL_ID"] = held["trial_id"]
        if name == "delete_dataset":
            files = {"file": ("data.csv", b"b,label\n" + b"1,x\n2,y\n" * 20)}
            found["DATASET_ID"] = self._client.post("/v1/datasets", files=files).json()["dataset_id"]
        if name == "revoke_token":
            made = self._client.post("/v1/tokens", json={"name": "x", "scopes": ["read"]})
            found["TOKEN_ID"] = made.json()["token_id"]
        return found


def _operations(live: Live) -> dict[str, dict[str, Any]]:
    items = live.app.openapi()["paths"].values()
    return {operation["operationId"]: operation for item in items for operation in item.values()}


def test_every_sample_of_curl_does_what_its_route_says(live: Live, tmp_path: Path) -> None:
    wrong = {}
    with live.client() as client:
        place = _Place(live, client, tmp_path)
        for name, operation in _operations(live).items():
            source = operation["x-codeSamples"][0]["source"].replace(
                "--fail-with-body", "--write-out '\\n%{http_code}'"
            )
            if name in _WITHOUT_END:
                source = source.replace("--no-buffer", "--no-buffer --max-time 0.3")
            session = _start(live, source, tmp_path, **place.ids(name))
            session.wait(10)
            status = int((tmp_path / "out").read_text(encoding="utf-8").split()[-1])
            if status != _REFUSED.get(name, int(next(iter(operation["responses"])))):
                wrong[name] = ((tmp_path / "out").read_text(encoding="utf-8")[-300:], source)
    assert wrong == {}


def test_every_sample_of_python_runs(live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = 0
    with live.client() as client:
        place = _Place(live, client, tmp_path)
        for name, operation in _operations(live).items():
            for sample in operation["x-codeSamples"]:
                if sample["lang"] == "Python":
                    ids = {key.lower(): value for key, value in place.ids(name).items()}
                    names: dict[str, Any] = {"token": _token(live), **ids}
                    exec(sample["source"].replace(SERVER, live.url), names)  # noqa: S102 - our own samples
                    names["client"].close()
                    ran += 1
    assert ran > 15
