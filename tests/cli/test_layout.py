from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpsearch import _layout
from hpsearch.cli.main import run

CHECKOUT = Path(_layout.__file__).parent.parent


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_in_a_checkout_the_folders_lie_beside_the_package():
    assert _layout.apps_dir() == CHECKOUT
    assert _layout.migrations_dir() == CHECKOUT / "migrations"


def test_in_a_wheel_they_ride_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "_apps").mkdir()
    (tmp_path / "migrations").mkdir()
    monkeypatch.setattr(_layout, "_HERE", tmp_path)
    assert _layout.apps_dir() == tmp_path / "_apps"
    assert _layout.migrations_dir() == tmp_path / "migrations"


def test_ours_win_over_other_packages_of_the_same_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ours, decoy = tmp_path / "hpsearch" / "_apps", tmp_path / "decoy"
    for folder, owner in ((ours, "ours"), (decoy, "theirs")):
        (folder / "workers").mkdir(parents=True)
        (folder / "workers" / "__init__.py").write_text("")
        (folder / "workers" / "layout_probe.py").write_text(f"OWNER = {owner!r}\n")
    for name in [name for name in sys.modules if name == "workers" or name.startswith("workers.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(_layout, "_HERE", tmp_path / "hpsearch")
    sys.path.insert(0, str(decoy))
    assert _layout.load("workers.layout_probe").OWNER == "ours"
    _layout.put_on_path()
    assert sys.path.count(str(ours)) == 1
    for name in [name for name in sys.modules if name == "workers" or name.startswith("workers.")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("arguments", "missing", "extra"),
    [
        (["worker", "--server", "http://127.0.0.1:9", "--token", "x"], "keras", "worker"),
        (["serve"], "uvicorn", "server"),
        (["db", "upgrade"], "alembic", "server"),
    ],
)
def test_a_missing_part_is_one_sentence(
    arguments: list[str],
    missing: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
):
    def absent(name: str) -> object:
        msg = f"No module named {missing!r}"
        raise ModuleNotFoundError(msg, name=missing)

    monkeypatch.setenv("HPSEARCH_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(_layout, "importlib", SimpleNamespace(import_module=absent))
    assert run(arguments) == 1
    said = capsys.readouterr().err
    assert f"is not installed here (no module {missing}): run  pip install 'hpsearch[{extra}]'" in said
    assert said.count("\n") == 1


def test_a_missing_module_of_our_own_is_no_missing_package(tmp_path: Path):
    with pytest.raises(_layout.MissingPartError, match=r"incomplete \(no module workers\.nope\): install it again"):
        _layout.load("workers.nope")
