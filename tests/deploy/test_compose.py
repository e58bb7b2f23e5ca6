"""docker-compose.yml and the Dockerfile against the code they run, since there may be no engine to run them here."""

from __future__ import annotations

import copy
import inspect
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from hpsearch.cli import options
from hpsearch.settings import ENVIRONMENT
from tests.architecture.checkout import ROOT
from tests.deploy.rules import OTHER_VARIABLES, commands, ours, problems, stages

_COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
_DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_nothing_is_wrong():
    assert problems(_COMPOSE, _DOCKERFILE, ROOT) == []


def _planted(change: Callable[[dict[str, Any]], object]) -> list[str]:
    compose = copy.deepcopy(_COMPOSE)
    change(compose["services"])
    return problems(compose, _DOCKERFILE, ROOT)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda s: s["server"]["environment"].update(HPSEARCH_DATABSE="x"), "reads no variable HPSEARCH_DATABSE"),
        (lambda s: s["server"].update(command=["serv"]), "no command serv"),
        (lambda s: s["server"].update(command=["serve", "--hots", "0.0.0.0", "--port", "8000"]), "--hots"),  # noqa: S104
        (lambda s: s["server"].update(ports=["127.0.0.1:8000:80"]), "but publishes"),
        (lambda s: s["server"].update(ports=["8000:8000"]), "beyond this machine"),
        (lambda s: s["server"]["healthcheck"].update(test=["x", "http://127.0.0.1:1/readyz"]), "health is asked"),
        (lambda s: s["server"].update(volumes=[]), "lost with the container"),
        (lambda s: s["server"].update(volumes=["dta:/data"]), "dta is not declared"),
        (lambda s: s["server"]["build"].update(target="srver"), "no stage srver"),
        (lambda s: s["worker"].update(command=["exec hpsearch worker --server http://serve:8000"]), "no server at"),
        (lambda s: s["worker"].update(command=["exec hpsearch wrk"]), "no command wrk"),
        (lambda s: s["worker"]["volumes"].append("data:/elsewhere"), "does not belong to the container's user"),
        (lambda s: s["postgres"]["environment"].update(POSTGRES_PASSWORD="secret"), "written into the file"),
        (lambda s: s["postgres"]["environment"].update(POSTGRES_DB="other"), "does not name the database"),
        (lambda s: s["prepare"].update(command=["hpsearch tokens create --scop worker > /tokens/new"]), "--scop"),
        (lambda s: s["worker"].update(depends_on={"sever": {}}), "depends on sever"),
    ],
)  # fmt: skip
def test_a_planted_mistake_is_found(change: Callable[[dict[str, Any]], object], expected: str):
    found = _planted(change)
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("USER hpsearch", "USER root", "runs as root"),
        ("EXPOSE 8000", "EXPOSE 80", "exposes 80"),
        ("COPY workers workers", "COPY worker worker", "does not exist"),
        ("COPY workers workers", "COPY tests tests", ".dockerignore leaves out"),
    ],
)
def test_a_planted_mistake_in_the_dockerfile_is_found(old: str, new: str, expected: str):
    assert old in _DOCKERFILE
    found = problems(_COMPOSE, _DOCKERFILE.replace(old, new), ROOT)
    assert any(expected in problem for problem in found), found


def test_the_health_path_answers(tmp_path: Path):
    from api.app import create_app
    from hpsearch.settings import Settings

    address = re.search(r"http://[^/]+(/[^'\"]*)", " ".join(_COMPOSE["services"]["server"]["healthcheck"]["test"]))
    assert address is not None
    app = create_app(Settings(data_dir=tmp_path))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        assert client.get(address[1]).status_code == 200


def test_the_extras_of_the_dockerfile_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {"server", *re.findall(r"^ARG WORKER_EXTRA=(\S+)", _DOCKERFILE, flags=re.MULTILINE)}
    named |= {
        service["build"]["args"]["WORKER_EXTRA"] for service in ours(_COMPOSE).values() if "args" in service["build"]
    }
    assert named == {"server", "worker", "gpu"}
    assert named <= set(extras)
    for lock in re.findall(r"requirements[\w-]*\.lock", _DOCKERFILE + yaml.safe_dump(_COMPOSE)):
        assert (ROOT / lock).is_file(), lock


def test_each_service_runs_what_it_is_named_for():
    built = stages(_DOCKERFILE)
    run = {
        name: [arguments[0] for arguments in commands(service, built[service["build"]["target"]])]
        for name, service in ours(_COMPOSE).items()
    }
    assert run == {"prepare": ["db", "tokens"], "server": ["serve"], "worker": ["worker"], "worker-gpu": ["worker"]}


def test_gpu_workers_are_a_profile_of_their_own():
    services = _COMPOSE["services"]
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert "profiles" not in services["worker"]
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_variables_beside_settings_are_read_by_the_command_line():
    text = inspect.getsource(options)
    for variable in OTHER_VARIABLES - {"HPSEARCH_ALLOWED_HOSTS", *ENVIRONMENT}:
        assert variable in text
