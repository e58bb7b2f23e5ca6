"""The scripts of `.ci`: pip's settings in uv's words, one package's pins, and the branch threshold."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from tests.architecture.checkout import ROOT


def _load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


requirements = _load("requirements")
branches = _load("branches")


def test_pip_settings_are_read_with_pips_own_precedence():
    listing = "global.index-url='https://a/simple'\n:env:.index-url='https://b/simple'\ninstall.find-links='x y'\n"
    assert requirements.pip_settings(listing) == {"index-url": "https://b/simple", "find-links": "x y"}


def test_pip_settings_become_uvs_and_uvs_own_stay():
    settings = {"index-url": "https://a/simple", "find-links": "one two", "cert": "/my ca.pem"}
    environment = requirements.uv_environment(settings, {"UV_DEFAULT_INDEX": "https://mine", "HOME": "/h"})
    assert environment == {
        "HOME": "/h",
        "UV_DEFAULT_INDEX": "https://mine",
        "UV_FIND_LINKS": "one,two",
        "SSL_CERT_FILE": "/my ca.pem",
    }


def test_one_packages_pins_are_cut_out():
    wanted = "uv==2 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    text = f"a==1 \\\n    --hash=sha256:aa\n{wanted}    # via x\nuvloop==3\n"
    assert requirements.pinned(text, "uv") == wanted
    with pytest.raises(ValueError, match="does not pin torch"):
        requirements.pinned(text, "torch")


def test_the_lock_pins_what_the_makefile_needs():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name in ("uv", "hatchling", "pytest"):
        assert requirements.pinned(text, name).count("--hash=sha256:") >= 1


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-gpu.lock"])
def test_locks_know_the_files_of_every_platform(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    for package in ("numpy", "pydantic-core", "charset-normalizer"):
        assert requirements.pinned(text, package).count("--hash=sha256:") > 20, package


def _report(**taken: tuple[int, int]) -> dict[str, object]:
    return {
        "files": {
            f"{package}/a.py": {"summary": {"covered_branches": done, "num_branches": there}}
            for package, (done, there) in taken.items()
        }
    }


def test_branches_are_counted_for_each_package_alone():
    assert branches.shares(_report(hpsearch=(99, 100), api=(1, 10))) == {"hpsearch": 99.0, "api": 10.0}
    assert branches.shares(_report(hpsearch=(9, 10))) == {"hpsearch": 90.0, "api": 0.0}, "nothing measured is nothing"


def _make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # As typed by a person, even where this run itself was started by make.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    return subprocess.run(["make", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_an_unsuitable_python_is_refused_in_one_sentence(tmp_path: Path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2"\nexit 1\n')
    old.chmod(0o755)
    done = _make("install", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}")
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stdout
    assert "Python 3.9.2" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_help_lists_every_target():
    listed = {line.split()[1] for line in _make("help").stdout.splitlines()}
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = {line.split()[1] for line in text.splitlines() if line.startswith(".PHONY:")}
    assert listed == declared


def test_modules_are_compiled_when_they_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(requirements, "_run", lambda *arguments: told.append(arguments) or 0)
    monkeypatch.setattr(requirements, "_pip", lambda *_: 0)
    assert requirements.sync("") == 0
    assert requirements._constrained("requirements.lock", "hatchling") == 0
    assert [arguments[0] for arguments in told] == ["sync", "install"]
    assert all("--compile-bytecode" in arguments for arguments in told)
