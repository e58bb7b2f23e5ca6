"""The walks of docs/extending.md lead where they say: carried out on a copy of the code, their own tests pass."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.checkout import ROOT
from tests.docs.blocks import blocks

_PAGE = ROOT / "docs" / "extending.md"

# What a user of the new sampler does: a study of it resolves, and its trials are the sampler's points.
_STUDY = """
from hpsearch.domain.study import StudyDefinition
from hpsearch.service.context import Caller, Context
from hpsearch.service.studies import crud
from hpsearch.settings import Settings


def test_a_study_gets_its_suggestions(tmp_path):
    definition = StudyDefinition.model_validate(
        {
            "name": "new",
            "dataset": {"builtin": "iris"},
            "space": {"units": 8, "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}},
            "algorithm": {"kind": "kronecker", "seed": 1},
            "budget": {"max_trials": 5},
            "baselines": False,
        }
    )
    context = Context.open(Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/study.db"))
    try:
        study = crud.create(context, Caller(token_id="t", scopes=frozenset({"admin"})), definition)
        with context.store.read() as tx:
            rows = tx.trials.observations(tx.studies.get(study.study_id).id, kinds=("search",))
    finally:
        context.close()
    rates = [params["learning_rate"] for params, _, _ in rows]
    assert len(set(rates)) == 5
"""


def _steps() -> dict[str, str]:
    """Return the Python blocks of the page by the file their first line names."""
    found = {}
    for block in blocks(_PAGE):
        named = re.match(r"# (\S+\.py)\n", block.text)
        if block.language == "python" and named is not None:
            found[named[1]] = block.text[named.end() :]
    return found


def _take(file: Path, text: str) -> None:
    """Write a new file; of one that exists, add the lines of a registry."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return
    opening, *lines, closing = text.strip().splitlines()
    before, begin, after = file.read_text(encoding="utf-8").partition(opening + "\n")
    assert begin, f"{file} has no {opening!r}"
    assert closing == "}"
    file.write_text(before + begin + "\n".join(lines) + "\n" + after, encoding="utf-8")


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code in which the walks for a sampler and a pruner were carried out."""
    copy = tmp_path_factory.mktemp("walk")
    for package in ("hpsearch", "migrations"):
        shutil.copytree(ROOT / package, copy / package)
    for name, text in _steps().items():
        _take(copy / name, text)
    (copy / "tests" / "test_study.py").write_text(_STUDY, encoding="utf-8")
    return copy


def test_a_sampler_and_a_pruner_are_a_file_a_line_and_a_test(walked: Path):
    tests = [name for name in _steps() if name.startswith("tests/")]
    assert {"tests/sampling/test_kronecker.py", "tests/pruning/test_last_place.py"} <= set(tests)
    environment = {**os.environ, "PYTHONPATH": str(walked), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    arguments = ("-q", "-p", "no:cacheprovider", "-c", os.devnull)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "tests"],
        cwd=walked, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"\b1[0-9] passed", ran.stdout), ran.stdout


def test_the_code_of_the_walks_is_formatted_and_clean(walked: Path):
    new = [str(walked / name) for name in _steps() if not name.startswith("tests/")]
    for command in (["check"], ["format", "--check"]):
        arguments = [*command, "--config", str(ROOT / "pyproject.toml"), *new]
        ran = subprocess.run([sys.executable, "-m", "ruff", *arguments], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout
