"""Which room imports which: the contracts hold, each of them notices a break, and commands stay light."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from tests.architecture.checkout import ROOT

_PACKAGES = ("hpsearch", "api", "workers", "migrations")

# For each contract of pyproject.toml: a file, and a line in it that would break the contract.
_BREAKS = {
    "The server and the workers stand on the core, and never see each other": ("hpsearch/clock.py", "import api"),
    "The core knows no web framework and no deep learning": ("hpsearch/settings.py", "import fastapi"),
    "Workers speak HTTP only: no database, no search, no server": (
        "workers/training/engine/task.py",
        "import hpsearch.service",
    ),
    "The server never opens a model": ("api/app_state.py", "import pickle"),
    "Routes call services, never the database": ("api/routes/__init__.py", "import hpsearch.storage"),
    "Domain types stand alone": ("hpsearch/domain/mlp.py", "import hpsearch.clock"),
    "No circle of imports anywhere": ("hpsearch/domain/strict.py", "import hpsearch.domain.study"),
    "The client speaks HTTP only": ("hpsearch/client/__init__.py", "import hpsearch.storage"),
    "Nobody but the command line imports the command line": (
        "hpsearch/client/paging.py",
        "import hpsearch.cli.display.wording",
    ),
    "Use cases stand on storage, search and data, and these never look up": (
        "hpsearch/storage/engine.py",
        "import hpsearch.service",
    ),
    "SQL lives in storage and migrations": ("hpsearch/service/ids.py", "import sqlalchemy"),
    "obstore lives in the content stores": ("hpsearch/service/ids.py", "import obstore"),
    "Optuna lives in sampling, and in the bridge to it": ("hpsearch/service/ids.py", "import optuna"),
    "Keras lives in workers.training": ("workers/__init__.py", "import keras"),
    "Engines stand on what they share, and never see each other": (
        "workers/training/engine/rows.py",
        "import workers.training.reference.fit",
    ),
    "The native engine trains without TensorFlow": ("workers/training/native/fit.py", "import tensorflow"),
    "numba lives in the native engine": ("workers/training/process/child.py", "import numba"),
}


def _verdicts(folder: Path) -> dict[str, bool]:
    """Return, for each contract, whether it is kept, as lint-imports says of the packages in a folder."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(program), "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False
    )
    verdicts = {}
    for line in done.stdout.splitlines():
        found = re.fullmatch(r"(.+) (KEPT|BROKEN)(?: \(\d+ ignored imports?\))?", line.rstrip())
        if found is not None:
            verdicts[found[1].strip()] = found[2] == "KEPT"
    assert verdicts, done.stdout + done.stderr
    return verdicts


def _contracts() -> list[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def test_every_contract_is_kept():
    verdicts = _verdicts(ROOT)
    assert sorted(verdicts) == sorted(_contracts())
    assert all(verdicts.values()), [name for name, kept in verdicts.items() if not kept]


def test_every_contract_notices_a_break(tmp_path: Path):
    for name in _PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    assert sorted(_BREAKS) == sorted(_contracts()), "a contract without a planted break may hold nothing"
    for file, line in _BREAKS.values():
        path = tmp_path / file
        path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    kept = [name for name, verdict in _verdicts(tmp_path).items() if verdict]
    assert kept == [], "these contracts did not notice"


def test_domain_types_need_pydantic_and_the_standard_library_only():
    graph = grimp.build_graph("hpsearch", include_external_packages=True, cache_dir=None)
    imported = {
        target
        for module in {"hpsearch.domain", *graph.find_descendants("hpsearch.domain")}
        for target in graph.find_modules_directly_imported_by(module)
        if not target.startswith("hpsearch")
    }
    foreign = {name for name in imported if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign == {"pydantic"}


_HEAVY = {
    "alembic", "api", "fastapi", "h5py", "keras", "numpy", "optuna", "pandas", "polars", "psycopg", "scipy", "sklearn",
    "sqlalchemy", "starlette", "tensorflow", "uvicorn", "workers",
}  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["--version"], ["run", "--help"], ["serve", "--help"], ["worker", "--help"], ["submit", "--help"],
        ["leaderboard", "--help"], ["best", "--help"], ["datasets", "--help"], ["tokens", "--help"], ["db", "--help"],
        ["predict", "--help"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_help_imports_nothing_of_server_or_worker(arguments: list[str]):
    program = (
        "import sys\n"
        "from hpsearch.cli.main import run\n"
        f"status = run({arguments!r})\n"
        "print(status, *sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
        "print(*sorted(name for name in sys.modules if name.startswith('hpsearch.')), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=False)
    assert "Usage" in done.stdout or "--version" in arguments, done.stderr
    *_, packages, rooms = done.stderr.splitlines()
    status, *loaded = packages.split()
    assert status == "0"
    assert not _HEAVY & set(loaded)
    assert not [room for room in rooms.split() if room.split(".")[1] in ("service", "storage", "sampling", "ingest")]
