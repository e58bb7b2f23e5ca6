"""The wheel: one top-level package, complete, at home beside other people's packages, and light for each edge."""

from __future__ import annotations

import os
import subprocess
import time
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from hpsearch.client import Client
from tests.architecture.checkout import ROOT, relative, tracked_files
from tests.processes import address_of, hpsearch, running

_STUDY = {
    "name": "from-the-wheel",
    "dataset": {"builtin": "iris"},
    "space": {"learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True}},
    "algorithm": {"kind": "random"},
    "budget": {"max_trials": 3},
    "baselines": False,
    "refit": "off",
}


def test_its_only_top_level_name_is_ours(wheel: Path):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"hpsearch", next(top for top in tops if top.endswith(".dist-info"))}


def test_it_holds_every_file_of_the_product(wheel: Path):
    held = set(zipfile.ZipFile(wheel).namelist())
    moved = {"api": "hpsearch/_apps/api", "workers": "hpsearch/_apps/workers", "migrations": "hpsearch/migrations"}
    missing = []
    for path in tracked_files():
        first, _, rest = relative(path).partition("/")
        if rest.startswith("web/charts/"):
            continue  # what the chart library in web/static was built from
        if first in ("hpsearch", *moved) and f"{moved.get(first, first)}/{rest}" not in held:
            missing.append(relative(path))
    assert missing == []
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not [name for name in held if "tests/" in name.removeprefix("hpsearch/") or name.endswith(".pyc")]


def _run(python: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        hpsearch(*arguments, python=python),
        cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.slow
def test_it_migrates_serves_and_works_beside_other_peoples_packages(environment: Path, tmp_path: Path):
    data = tmp_path / "data"
    migrated = _run(environment, "db", "upgrade", "--data-dir", str(data), cwd=tmp_path)
    assert migrated.returncode == 0, migrated.stderr
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(_STUDY), encoding="utf-8")
    serve, log = hpsearch("serve", "--port", "0", "--data-dir", str(data), python=environment), tmp_path / "serve.log"
    with running(serve, log, cwd=tmp_path) as server:
        url = address_of(data, server, log)
        token = (data / "token").read_text(encoding="utf-8").strip()
        remote = {"HPSEARCH_SERVER": url, "HPSEARCH_TOKEN": token}
        submitted = _run(environment, "submit", str(study), "--json", cwd=tmp_path, **remote)
        assert submitted.returncode == 0, submitted.stderr
        work = hpsearch("worker", "--engine", "stub", "--work-dir", str(tmp_path / "work"), python=environment)
        stub = {**remote, "HPSEARCH_STUB_ENGINE": "1"}
        with running(work, tmp_path / "worker.log", cwd=tmp_path, environment=stub), Client(url, token) as client:
            deadline = time.monotonic() + 60
            view = client.studies.list(limit=1).items[0]
            while view.state != "COMPLETED" and time.monotonic() < deadline:
                time.sleep(0.2)
                view = client.studies.get(view.study_id)
            assert (view.state, view.n_trials) == ("COMPLETED", 3)


def test_nothing_of_the_checkout_or_the_decoys_is_imported(environment: Path, tmp_path: Path):
    program = (
        "import hpsearch, sys\n"
        "from hpsearch._layout import load\n"
        "for name in ('api.app', 'workers.main', 'workers.training.engine.task'):\n"
        "    print(load(name).__file__)\n"
        "print(hpsearch.__file__)\n"
    )
    done = subprocess.run([str(environment), "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bundled = environment.parents[1]
    for line in done.stdout.split():
        assert Path(line).is_relative_to(bundled), line
        assert "site-packages/hpsearch/" in line, line


def _closure(extra: str) -> set[str]:
    """Return the names of all distributions that hpsearch with one extra brings, as installed here."""
    found: set[tuple[str, str]] = set()
    waiting = [("hpsearch", name) for name in ("", extra)]
    while waiting:
        entry = waiting.pop()
        if entry in found:
            continue
        found.add(entry)
        name, active = entry
        for text in requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": active}):
                waiting += [(canonicalize_name(requirement.name), each) for each in ("", *requirement.extras)]
    return {name for name, _ in found}


@pytest.mark.parametrize(
    ("extra", "brings", "spares"),
    [
        ("", {"httpx2", "pydantic", "typer"}, {"fastapi", "sqlalchemy", "optuna", "keras", "tensorflow", "numpy"}),
        ("server", {"fastapi", "sqlalchemy", "optuna"}, {"keras", "tensorflow", "h5py", "nvidia-ml-py"}),
        ("worker", {"keras", "tensorflow"}, {"sqlalchemy", "alembic", "psycopg", "optuna", "fastapi", "uvicorn"}),
    ],
)
def test_each_extra_brings_only_its_own(extra: str, brings: set[str], spares: set[str]):
    names = _closure(extra)
    assert brings <= names
    assert not spares & names


def test_the_readme_is_the_package_description(wheel: Path):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
    text = archive.read(metadata).decode()
    assert (ROOT / "README.md").read_text(encoding="utf-8").strip()[:60] in text
